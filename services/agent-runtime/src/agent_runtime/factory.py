"""How everything here is made, top to bottom.

A section per subject: its use cases, and beneath them what other subjects may ask of it.
"""

from collections.abc import Sequence
from datetime import timedelta
from functools import cached_property
from urllib.parse import urlsplit

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from agent_runtime import ports
from agent_runtime.agents.subscribers import AccountSubscribers
from agent_runtime.agents.usecases import Agents
from agent_runtime.canvas.usecases import Canvases
from agent_runtime.channels.usecases import Channels, ChannelWatch, NotedFrames, WebAdapter
from agent_runtime.config import Config
from agent_runtime.configuration.usecases import Configurations
from agent_runtime.counts import Counts
from agent_runtime.cron.jobs import Scheduler
from agent_runtime.cron.usecases.firings import Firings
from agent_runtime.cron.usecases.jobs import Jobs
from agent_runtime.delegation.usecases.delegations import Delegations
from agent_runtime.delegation.usecases.rules import Rules
from agent_runtime.memory.clients import Embeddings, Meanings, NoMeanings
from agent_runtime.memory.usecases import Memories
from agent_runtime.monitoring.usecases.budgets import Budgets
from agent_runtime.monitoring.usecases.reports import Reports
from agent_runtime.monitoring.usecases.spending import Spending
from agent_runtime.runs.clients.live import Live
from agent_runtime.runs.clients.mcp.links import McpLinks
from agent_runtime.runs.clients.models.shelf import LazyCloud, Shelf
from agent_runtime.runs.clients.toolbox import Toolbox
from agent_runtime.runs.clients.tools.asking import Asking
from agent_runtime.runs.clients.tools.files import file_tools
from agent_runtime.runs.clients.tools.shell import shell_tools
from agent_runtime.runs.clients.tools.web import Web
from agent_runtime.runs.usecases.acting import Acting
from agent_runtime.runs.usecases.approvals import Approvals
from agent_runtime.runs.usecases.assembly import Assembly
from agent_runtime.runs.usecases.endings import Endings
from agent_runtime.runs.usecases.engine import Engine
from agent_runtime.runs.usecases.following import Following
from agent_runtime.runs.usecases.servers import Directory, McpServers
from agent_runtime.runs.usecases.sweeping import Sweeping
from agent_runtime.runs.usecases.tallies import Tallies
from agent_runtime.runs.usecases.traffics import Traffics
from agent_runtime.runs.usecases.transport import Transport
from agent_runtime.runs.usecases.turns import Turns
from agent_runtime.runs.usecases.worker import Worker
from agent_runtime.sessions.usecases import Conversations, Sessions
from agent_runtime.skills.clients.registry import Registry
from agent_runtime.skills.clients.shipped import ShippedPackages
from agent_runtime.skills.usecases import Skills
from agent_runtime.sockets.instruments import Instruments as SocketInstruments
from agent_runtime.sockets.usecases.audiences import Audiences
from agent_runtime.sockets.usecases.conversations import Conversation, Send
from agent_runtime.sockets.usecases.credentials import Credentials
from agent_runtime.sockets.usecases.dialogues import CanvasDialogue, ChatDialogue, PageDialogue
from agent_runtime.sockets.usecases.entrance import Receive
from agent_runtime.sockets.usecases.means import Means
from agent_runtime.sockets.usecases.revocations import revocations
from agent_runtime.sockets.usecases.slots import Slots
from agent_runtime.sockets.usecases.sockets import Sockets
from agent_runtime.sockets.usecases.speaking import Subjects
from agent_runtime.voice.clients import SpeechClient
from agent_runtime.voice.usecases import SpokenFrames, Voices
from shoal.config import ConfigError
from shoal.copies import Copy
from shoal.identity import Principal
from shoal.jobs import Job, housekeeping
from shoal.leases import Leases
from shoal.outgoing import Outgoing
from shoal.resources import Component, Resources
from shoal.subscriptions import Handlers, Subscription
from shoal.vault import KeyCheck, envelope_of
from shoal_events import AccountCreated, AccountDeleted

KEY_VARIABLE = "AGENT_RUNTIME_ENCRYPTION_KEY"


class Factory:
    """Makes the use cases of a request and the components of the process."""

    def __init__(self, resources: Resources[Config]) -> None:
        self.resources = resources
        self.outgoing = _outgoing(resources.config)
        self.envelope = envelope_of(
            resources.config.encryption_key,
            variable=KEY_VARIABLE,
            kept_in=resources.config.state / "agent-runtime.key",
        )

    # agents

    def agents(self) -> Agents:
        """Who there is."""
        resources = self.resources
        return Agents(
            database=resources.database,
            outbox=resources.outbox,
            frames=self.frames,
            configuration=self.configuration(),
            sessions=self.sessions(),
        )

    # sessions

    def sessions(self) -> Sessions:
        """What was said."""
        return Sessions(database=self.resources.database, outbox=self.resources.outbox)

    def conversations(self) -> Conversations:
        """Beginning and ending sessions."""
        return Conversations(sessions=self.sessions(), agents=self.agents(), turns=self.turns())

    # runs

    def turns(self) -> Turns:
        """Asking for answers."""
        resources = self.resources
        return Turns(
            database=resources.database,
            agents=self.agents(),
            sessions=self.sessions(),
            endings=self.endings(),
            worker=self.worker,
            live=self.live,
            tracing=resources.tracing,
        )

    def following(self) -> Following:
        """Streams of runs."""
        return Following(database=self.resources.database, live=self.live, clock=self.resources.clock)

    def approvals(self) -> Approvals:
        """Deciding about tool calls."""
        return Approvals(database=self.resources.database, endings=self.endings(), worker=self.worker)

    @cached_property
    def toolbox(self) -> Toolbox:
        """What agents can do."""
        asking = Asking(memories=self.memories(), delegations=self.delegations(), canvases=self.canvases())
        shell = shell_tools() if self.resources.config.allow_exec_shell else []
        return Toolbox([*file_tools(), *shell, *Web(self.outgoing).tools(), *asking.tools()], [self.mcp_links])

    @cached_property
    def mcp_links(self) -> McpLinks:
        """Tools of MCP servers."""
        directory = Directory(database=self.resources.database, envelope=self.envelope)
        return McpLinks(directory.enabled, self.outgoing)

    def mcp_servers(self) -> McpServers:
        """Which MCP servers there are."""
        return McpServers(
            database=self.resources.database,
            envelope=self.envelope,
            outgoing=self.outgoing,
            links=self.mcp_links,
            is_stdio_allowed=self.resources.config.allow_mcp_stdio,
        )

    @cached_property
    def live(self) -> Live:
        """What happens in runs, live."""
        return Live(self.resources.bus, process=self.resources.process)

    @cached_property
    def worker(self) -> Worker:
        """Who does runs in this process."""
        resources = self.resources
        return Worker(
            process=resources.process,
            database=resources.database,
            leases=self.run_leases,
            live=self.live,
            engine=self.engine(),
            sweeping=self.sweeping(),
        )

    @cached_property
    def run_leases(self) -> Leases:
        """How long a process that is silent keeps its runs."""
        resources = self.resources
        return Leases(resources.database, owner=resources.process, ttl=resources.config.run_lease)

    def engine(self) -> Engine:
        """How a turn is done."""
        resources = self.resources
        shelf = Shelf(self.configuration(), self.cloud)
        return Engine(
            database=resources.database,
            outbox=resources.outbox,
            sessions=self.sessions(),
            assembly=self.assembly(),
            transport=Transport(
                shelf=shelf,
                usage=self.usage(),
                database=resources.database,
                clock=resources.clock,
                tracing=resources.tracing,
            ),
            acting=Acting(tracing=resources.tracing),
            endings=self.endings(),
            clock=resources.clock,
            tracing=resources.tracing,
            approval=resources.config.approval_timeout,
            most=resources.config.run_timeout,
        )

    @cached_property
    def cloud(self) -> LazyCloud:
        """Models of providers."""
        return LazyCloud(self.outgoing, silence=self.resources.config.model_timeout)

    def assembly(self) -> Assembly:
        """What a turn needs."""
        return Assembly(
            agents=self.agents(),
            configuration=self.configuration(),
            skills=self.skills(),
            memories=self.memories(),
            delegations=self.delegations(),
            toolbox=self.toolbox,
            workspaces=self.resources.config.state / "workspaces",
        )

    def endings(self) -> Endings:
        """How runs end."""
        resources = self.resources
        return Endings(
            database=resources.database,
            leases=self.run_leases,
            outbox=resources.outbox,
            live=self.live,
            frames=self.frames,
            sessions=self.sessions(),
            pipeline_log=self.pipeline_log(),
            clock=resources.clock,
        )

    def tallies(self) -> Tallies:
        """What agents did, as telemetry."""
        resources = self.resources
        return Tallies(database=resources.database, bus=resources.bus, clock=resources.clock, process=resources.process)

    def sweeping(self) -> Sweeping:
        """What runs are looked after by."""
        return Sweeping(database=self.resources.database, endings=self.endings())

    def answer_timeout(self) -> timedelta:
        """How long a caller waits for an answer."""
        return self.resources.config.answer_timeout

    # sockets

    @cached_property
    def frames(self) -> ports.Frames:
        """The way to browsers."""
        return SpokenFrames(NotedFrames(self.audiences, self.channel_watch))

    @cached_property
    def audiences(self) -> Audiences:
        """Who listens."""
        resources = self.resources
        return Audiences(resources.bus, resources.clock, self.socket_instruments, process=resources.process)

    @cached_property
    def socket_instruments(self) -> SocketInstruments:
        """What is counted of sockets."""
        return SocketInstruments(self.resources.metrics.registry)

    @cached_property
    def sockets(self) -> Sockets:
        """Every open socket of this process."""
        every = self.resources.config.socket_revalidate_every
        return Sockets(self.socket_credentials(), self.resources.clock, revalidate_every=every)

    @cached_property
    def slots(self) -> Slots:
        """How many sockets there are, over all processes."""
        config = self.resources.config
        return Slots(
            self.resources.database,
            self.sockets,
            process=self.resources.process,
            sockets_per_user=config.sockets_per_user,
            beat=config.socket_beat,
            silent_for=config.socket_silent_for,
            on_change=self.channel_watch_note,
        )

    def socket_credentials(self) -> Credentials:
        """Who stands behind a token."""
        return Credentials(self.resources.peers)

    def page_socket(self, receive: Receive, send: Send, principal: Principal) -> Conversation:
        """One socket of `/ws`."""
        about = self._socket_subjects()
        return Conversation(self._socket_means(), receive, send, principal, lambda peer: PageDialogue(peer, about))

    def canvas_socket(self, receive: Receive, send: Send, principal: Principal) -> Conversation:
        """One socket of `/ws/canvas`."""
        about = self._socket_subjects()
        return Conversation(self._socket_means(), receive, send, principal, lambda peer: CanvasDialogue(peer, about))

    def chat_socket(self, receive: Receive, send: Send, principal: Principal, session_key: str) -> Conversation:
        """One socket of `/ws/chat/{session}`."""
        about = self._socket_subjects()
        return Conversation(
            self._socket_means(), receive, send, principal, lambda peer: ChatDialogue(peer, about, session_key)
        )

    def _socket_means(self) -> Means:
        config = self.resources.config
        return Means(
            clock=self.resources.clock,
            credentials=self.socket_credentials(),
            sockets=self.sockets,
            slots=self.slots,
            audiences=self.audiences,
            instruments=self.socket_instruments,
            auth_timeout=config.socket_auth_timeout,
            messages_per_second=config.socket_messages_per_second,
            quiet_for=config.socket_quiet_for,
        )

    def _socket_subjects(self) -> Subjects:
        canvases = self.canvases()
        return Subjects(turns=self.turns(), sessions=self.sessions(), canvases=canvases, drawings=canvases)

    # memory

    def memories(self) -> Memories:
        """What is remembered."""
        return Memories(database=self.resources.database, meanings=self.meanings())

    def meanings(self) -> Meanings:
        """What texts mean, where a model tells."""
        model = self.resources.config.embeddings
        if not model:
            return NoMeanings()
        return Embeddings(model, configuration=self.configuration(), outgoing=self.outgoing)

    # skills

    def skills(self) -> Skills:
        """Packages of instructions."""
        return Skills(database=self.resources.database, shipped=self.shipped_packages, registry=self.registry)

    @cached_property
    def shipped_packages(self) -> ShippedPackages:
        """What can be installed without any network."""
        return ShippedPackages()

    @cached_property
    def registry(self) -> Registry | None:
        """Where more skills come from, if anywhere."""
        config = self.resources.config
        if not config.skills_registry:
            return None
        return Registry(
            config.skills_registry,
            outgoing=self.outgoing,
            key=_registry_key(config.skills_registry_key),
            takes_unsigned=config.skills_allow_unsigned,
        )

    # configuration

    def configuration(self) -> ports.Configuration:
        """Defaults and providers."""
        return self.configurations()

    def configurations(self) -> Configurations:
        """What accounts configured."""
        return Configurations(database=self.resources.database, envelope=self.envelope, outgoing=self.outgoing)

    def gateway_port(self) -> int:
        """Where the gateway listens, as pages are told."""
        parts = urlsplit(self.resources.config.public_url)
        return parts.port or (443 if parts.scheme == "https" else 80)

    # cron

    def cron_jobs(self) -> Jobs:
        """Turns that the clock asks for."""
        return Jobs(
            database=self.resources.database,
            agents=self.agents(),
            outbox=self.resources.outbox,
            least_pause=self.resources.config.cron_least_pause,
        )

    def firings(self) -> Firings:
        """What the clock does with jobs."""
        return Firings(
            database=self.resources.database,
            leases=self.resources.leases,
            outbox=self.resources.outbox,
            turns=self.turns(),
            grace=self.resources.config.cron_grace,
        )

    # delegation

    def delegations(self) -> Delegations:
        """Work that is handed on."""
        return Delegations(
            database=self.resources.database,
            rules=self.delegation_rules(),
            configuration=self.configuration(),
            sessions=self.sessions(),
            turns=self.turns,
            frames=self.frames,
            clock=self.resources.clock,
            most=self.resources.config.delegation_timeout,
        )

    def delegation_rules(self) -> Rules:
        """Who does which kind of work."""
        return Rules(database=self.resources.database)

    # canvas

    def canvases(self) -> Canvases:
        """What agents draw."""
        return Canvases(self.resources.database, self.frames, self.resources.clock)

    # channels

    def channel_list(self) -> Channels:
        """The ways by which people reach agents."""
        return Channels(self.configurations(), self.agents(), [self.web_channel])

    @cached_property
    def web_channel(self) -> WebAdapter:
        """The web itself."""
        return WebAdapter(self.slots, self.traffics())

    @cached_property
    def channel_watch(self) -> ChannelWatch:
        """Tells browsers when the web channel changes."""
        return ChannelWatch(self.web_channel, self.audiences)

    def channel_watch_note(self, account_id: str) -> None:
        """Have an account's web channel looked at."""
        self.channel_watch.note(account_id)

    def traffics(self) -> Traffics:
        """What went through channels."""
        return Traffics(database=self.resources.database)

    # voice

    def voices(self) -> Voices:
        """How people speak with agents."""
        client = SpeechClient(self.outgoing)
        return Voices(self.resources.database, self.frames, self.configuration(), client)

    # monitoring

    def usage(self) -> Spending:
        """Tokens and budgets."""
        return Spending(self.resources.database, self.resources.clock)

    def pipeline_log(self) -> ports.PipelineLog:
        """Timed turns."""
        return self.reports()

    def reports(self) -> Reports:
        """What was taken, cost and timed."""
        return Reports(self.resources.database, self.resources.clock)

    def budgets(self) -> Budgets:
        """How much may be spent, and what things cost."""
        return Budgets(self.resources.database, self.resources.clock)

    # what works beside requests

    def components(self) -> list[Component]:
        """List the components in the order of starting."""
        resources = self.resources
        subscribers = AccountSubscribers(self.agents(), self._endings_of_accounts())
        accounts: Handlers = {
            AccountCreated: subscribers.on_account_created,
            AccountDeleted: subscribers.on_account_deleted,
        }
        return [
            KeyCheck(self.configurations().is_key_right, variable=KEY_VARIABLE),
            resources.relay(),
            resources.subscriber(Subscription("accounts", accounts)),
            resources.copier(Copy("accounts", owner="gateway", handlers=accounts, is_required=False)),
            self._counts(),
            self.cloud,
            self.mcp_links,
            self.worker,
            resources.job(Job("forget runs", timedelta(hours=1), self.sweeping().forget)),
            resources.job(Job("tell telemetry", resources.config.telemetry_interval, self.tallies().tell)),
            self.sockets,
            self.slots,
            self.channel_watch,
            resources.listener("revocations", revocations(self.sockets)),
            Scheduler(database=resources.database, leases=resources.leases, firings=self.firings()),
            resources.job(Job("sweep delegations", resources.config.delegation_sweep, self.delegations().sweep)),
            resources.job(Job("forget delegations", timedelta(hours=6), self.delegations().forget_old)),
            resources.job(Job("forget firings", timedelta(hours=6), self.firings().forget_old)),
            resources.job(housekeeping(resources.database)),
            resources.job(Job("forget lapsed holds", timedelta(minutes=10), self.usage().forget_lapsed)),
            resources.job(Job("forget old turns", timedelta(hours=6), self.reports().forget_old)),
        ]

    def _counts(self) -> Counts:
        async def tools() -> int:
            return self.toolbox.count

        counters = {
            "agent_count": self.agents().count,
            "session_count": self.sessions().count_all,
            "tool_count": tools,
        }
        return Counts(self.resources.health, counters)

    def _endings_of_accounts(self) -> Sequence[ports.AccountEnd]:
        """List what each subject erases of an account that is no more, in this order."""
        return [
            self.sessions().erase,
            self.memories().end_account,
            self.skills().end_account,
            self.configurations().end_account,
            self.canvases().erase,
            self.reports().erase,
            self.voices().erase,
            self.cron_jobs().end_account,
            self.delegation_rules().end_account,
            self.mcp_servers().erase,
            self.tallies().erase,
        ]


def _outgoing(config: Config) -> Outgoing:
    everywhere = ", 0.0.0.0/0, ::/0" if config.allow_private_addresses else ""
    try:
        return Outgoing(config.outgoing_allowed + everywhere)
    except ValueError as error:
        raise ConfigError([f"SHOAL_OUTGOING_ALLOWED: {error}"]) from error


def _registry_key(pem: str) -> Ed25519PublicKey | None:
    if not pem:
        return None
    try:
        key = load_pem_public_key(pem.encode())
    except ValueError:
        key = None
    if not isinstance(key, Ed25519PublicKey):
        raise ConfigError(["AGENT_RUNTIME_SKILLS_REGISTRY_KEY must hold an Ed25519 public key as PEM"])
    return key
