"""How everything here is made, top to bottom.

A section per subject: its use cases, and beneath them what other subjects may ask of it. What hangs together among
itself is made by parts of their own: `runs`, `browsers`, `knowledge`, `tools`. `components` lists what works beside
requests.
"""

from functools import cached_property

from agent_runtime import ports
from agent_runtime.agents.usecases import Agents
from agent_runtime.canvas.usecases import Canvases
from agent_runtime.channels.usecases import Channels
from agent_runtime.config import Config
from agent_runtime.configuration.usecases import Configurations
from agent_runtime.cron.usecases.firings import Firings
from agent_runtime.cron.usecases.jobs import Jobs
from agent_runtime.delegation.usecases.choosing import Choosing
from agent_runtime.delegation.usecases.delegations import Delegations
from agent_runtime.delegation.usecases.doing import Doing
from agent_runtime.delegation.usecases.rules import Rules
from agent_runtime.factory import settings
from agent_runtime.factory.browsers import BrowserFactory
from agent_runtime.factory.knowledge import KnowledgeFactory
from agent_runtime.factory.runs import RunFactory
from agent_runtime.factory.tools import ToolFactory
from agent_runtime.models.clients.providers import ProviderModels
from agent_runtime.models.usecases import ModelRegistry
from agent_runtime.monitoring.clients import CredentialClient
from agent_runtime.monitoring.usecases.budgets import Budgets
from agent_runtime.monitoring.usecases.reports import Reports
from agent_runtime.monitoring.usecases.spending import Spending
from agent_runtime.recent import Recent
from agent_runtime.runs.usecases.assembly import Assembly
from agent_runtime.sessions.usecases import SessionLifecycle, Sessions
from agent_runtime.sockets.usecases.speaking import Subjects
from agent_runtime.tools.clients.asking import Asking
from agent_runtime.voice.clients import SpeechClient
from agent_runtime.voice.usecases import Voices
from shoal.resources import Resources


class Factory:
    """Makes the use cases of a request and the components of the process."""

    def __init__(self, resources: Resources[Config]) -> None:
        self.resources = resources
        self.outgoing = settings.outgoing(resources.config)
        self.envelope = settings.envelope(resources.config)
        self._recently_configured, self._recently_limited = Recent(resources.clock), Recent(resources.clock)
        self.runs = RunFactory(resources, neighbours=self)
        self.browsers = BrowserFactory(resources, about=self._socket_subjects, traffics=self.runs.traffics)
        self.knowledge = KnowledgeFactory(resources, outgoing=self.outgoing, configuration=self.configuration)
        self.tools = ToolFactory(resources, outgoing=self.outgoing, envelope=self.envelope, asking=self._asking)

    # agents

    def agents(self) -> Agents:
        """Make what has agents; also what other subjects find them by."""
        resources = self.resources
        return Agents(
            database=resources.database,
            outbox=resources.outbox,
            frames=self.browsers.frames,
            configuration=self.configuration(),
            sessions=self.sessions(),
            toolbox=self.tools.toolbox,
        )

    # sessions

    def sessions(self) -> Sessions:
        """Make what keeps sessions and their messages."""
        return Sessions(database=self.resources.database, outbox=self.resources.outbox)

    def session_lifecycle(self) -> SessionLifecycle:
        """Make what begins and ends sessions for requests."""
        return SessionLifecycle(
            database=self.resources.database, sessions=self.sessions(), agents=self.agents(), turns=self.turns()
        )

    # runs

    def turns(self) -> ports.Turns:
        """Make what has messages answered, as other subjects ask for it."""
        return self.runs.turns()

    def assembly(self) -> Assembly:
        """Make what gathers a turn's context from all subjects that it takes."""
        return Assembly(
            agents=self.agents(),
            configuration=self.configuration(),
            skills=self.knowledge.skills(),
            memories=self.knowledge.memories(),
            delegations=self.delegations(),
            toolbox=self.tools.toolbox,
            workspaces=self.resources.config.state / "workspaces",
        )

    def _asking(self) -> Asking:
        return Asking(memories=self.knowledge.memories(), delegations=self.delegations(), canvases=self.canvases())

    # models

    @cached_property
    def providers(self) -> ProviderModels:
        """Models of providers."""
        return ProviderModels(self.configuration(), self.outgoing, silence=self.resources.config.model_timeout)

    def models(self) -> ports.Models:
        """Make what gives an account's models by their names."""
        return ModelRegistry(self.configuration(), self.providers)

    # sockets

    def frames(self) -> ports.Frames:
        """Give the one way to browsers that the process has."""
        return self.browsers.frames

    def _socket_subjects(self) -> Subjects:
        canvases = self.canvases()
        return Subjects(turns=self.turns(), sessions=self.sessions(), canvases=canvases, drawings=canvases)

    # configuration

    def configuration(self) -> ports.Configuration:
        """Make what tells an account's defaults and providers to other subjects."""
        return self.configurations()

    def configurations(self) -> Configurations:
        """Make what reads and replaces configurations."""
        return Configurations(
            database=self.resources.database,
            envelope=self.envelope,
            outgoing=self.outgoing,
            recent=self._recently_configured,
        )

    def gateway_port(self) -> int:
        """Tell the port where the gateway listens, which pages are shown."""
        return settings.gateway_port(self.resources.config)

    # cron

    def cron_jobs(self) -> Jobs:
        """Make what lists, changes and fires jobs for requests."""
        return Jobs(
            database=self.resources.database,
            agents=self.agents(),
            outbox=self.resources.outbox,
            least_pause=self.resources.config.cron_least_pause,
        )

    def firings(self) -> Firings:
        """Make what fires jobs by the clock."""
        return Firings(
            database=self.resources.database,
            leases=self.resources.leases,
            outbox=self.resources.outbox,
            turns=self.turns(),
            grace=self.resources.config.cron_grace,
        )

    # delegation

    def delegations(self) -> Delegations:
        """Make what hands work on."""
        return Delegations(
            database=self.resources.database,
            choosing=Choosing(rules=self.delegation_rules(), configuration=self.configuration()),
            doing=Doing(turns=self.turns, sessions=self.sessions(), timeout=self.resources.config.delegation_timeout),
            usage=self.usage(),
            frames=self.browsers.frames,
            clock=self.resources.clock,
        )

    def delegation_rules(self) -> Rules:
        """Make what lists and changes the rules of who does which work."""
        return Rules(database=self.resources.database)

    # canvas

    def canvases(self) -> Canvases:
        """Make what draws, keeps and shows canvases."""
        return Canvases(self.resources.database, self.browsers.frames, self.resources.clock)

    # channels

    def channel_list(self) -> Channels:
        """Make what lists channels: the web is the one that works here."""
        return Channels(self.configurations(), self.agents(), [self.browsers.web_channel])

    # voice

    def voices(self) -> Voices:
        """Make what keeps voice settings and has text spoken."""
        client = SpeechClient(self.outgoing)
        return Voices(self.resources.database, self.browsers.frames, self.configuration(), client)

    # monitoring

    def usage(self) -> Spending:
        """Make what sets aside before calls of models and records what they took."""
        return Spending(self.resources.database, self.resources.clock, recent=self._recently_limited)

    def pipeline_log(self) -> ports.PipelineLog:
        """Make what keeps timed turns."""
        return self.reports()

    def reports(self) -> Reports:
        """Make what adds up tokens and costs, and lists timed turns."""
        return Reports(self.resources.database, self.resources.clock)

    def budgets(self) -> Budgets:
        """Make what sets budgets and own prices."""
        resources = self.resources
        return Budgets(
            database=resources.database,
            clock=resources.clock,
            recent=self._recently_limited,
            agents=self.agents(),
            sessions=self.sessions(),
            credentials=CredentialClient(resources.peers),
        )
