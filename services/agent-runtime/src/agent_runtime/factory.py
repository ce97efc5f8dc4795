"""How everything here is made, top to bottom.

A section per subject: its use cases, and beneath them what other subjects may ask of it.
"""

from datetime import timedelta
from functools import cached_property
from typing import cast
from urllib.parse import urlsplit

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from agent_runtime import ports, stand_ins
from agent_runtime.canvas.usecases import Canvases
from agent_runtime.channels.usecases import Channels, ChannelWatch, NotedFrames, WebAdapter
from agent_runtime.config import Config
from agent_runtime.configuration.jobs import KeyCheck
from agent_runtime.configuration.usecases import Configurations
from agent_runtime.memory.usecases import Memories
from agent_runtime.monitoring.usecases.budgets import Budgets
from agent_runtime.monitoring.usecases.reports import Reports
from agent_runtime.monitoring.usecases.spending import Spending
from agent_runtime.skills.clients.registry import Registry
from agent_runtime.skills.clients.shipped import ShippedPackages
from agent_runtime.skills.usecases import Skills
from agent_runtime.sockets.instruments import Instruments as SocketInstruments
from agent_runtime.sockets.usecases.audiences import Audiences
from agent_runtime.sockets.usecases.conversations import Conversation, Means, Receive, Send
from agent_runtime.sockets.usecases.credentials import Credentials
from agent_runtime.sockets.usecases.dialogues import CanvasDialogue, ChatDialogue, PageDialogue, Subjects
from agent_runtime.sockets.usecases.revocations import Revocations
from agent_runtime.sockets.usecases.slots import Slots
from agent_runtime.sockets.usecases.sockets import Sockets
from agent_runtime.voice.clients import SpeechClient
from agent_runtime.voice.usecases import SpokenFrames, Voices
from shoal.config import ConfigError
from shoal.identity import Principal
from shoal.jobs import Job, housekeeping
from shoal.outgoing import Outgoing
from shoal.resources import Component, Resources
from shoal.vault import envelope_of


class Factory:
    """Makes the use cases of a request and the components of the process."""

    def __init__(self, resources: Resources[Config]) -> None:
        self.resources = resources
        self.outgoing = _outgoing(resources.config)
        self.envelope = envelope_of(
            resources.config.encryption_key,
            variable="AGENT_RUNTIME_ENCRYPTION_KEY",
            kept_in=resources.config.state / "agent-runtime.key",
        )

    # agents, sessions, turns

    def agents(self) -> ports.Agents:
        """Who there is."""
        return stand_ins.NoAgents()

    def sessions(self) -> ports.Sessions:
        """What was said."""
        return cast("ports.Sessions", stand_ins.NoSessions())

    def turns(self) -> ports.Turns:
        """The way to an agent's answer."""
        return stand_ins.NoTurns()

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
        return Memories(database=self.resources.database)

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

    # delegation

    def delegations(self) -> ports.Delegations:
        """Work that is handed on."""
        return stand_ins.NoDelegations()

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

    def traffics(self) -> ports.Traffics:
        """What went through channels."""
        return stand_ins.NoTraffics()

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
        return [
            KeyCheck(self.configurations()),
            resources.relay(),
            self.sockets,
            self.slots,
            self.channel_watch,
            Revocations(resources.bus, resources.clock, self.sockets),
            resources.job(housekeeping(resources.database)),
            resources.job(Job("forget lapsed holds", timedelta(minutes=10), self.usage().forget_lapsed)),
            resources.job(Job("forget old turns", timedelta(hours=6), self.reports().forget_old)),
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
