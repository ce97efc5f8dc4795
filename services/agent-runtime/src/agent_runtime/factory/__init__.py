"""How everything here is made, top to bottom.

A section per subject: its use cases, and beneath them what other subjects may ask of it. What hangs together among
itself is made by parts of their own: `runs`, `browsers`, `knowledge`, `tools`. `components` lists what works beside
requests.
"""

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
        self.providers = ProviderModels(self.outgoing, silence=resources.config.model_timeout)
        self.runs = RunFactory(resources, neighbours=self)
        self.browsers = BrowserFactory(resources, about=self._socket_subjects, traffics=self.runs.traffics)
        self.knowledge = KnowledgeFactory(resources, outgoing=self.outgoing, configuration=self.configuration)
        self.tools = ToolFactory(resources, outgoing=self.outgoing, envelope=self.envelope, asking=self._asking)

    # agents

    def agents(self) -> Agents:
        """Who there is."""
        resources = self.resources
        return Agents(
            database=resources.database,
            outbox=resources.outbox,
            frames=self.browsers.frames,
            configuration=self.configuration(),
            sessions=self.sessions(),
        )

    # sessions

    def sessions(self) -> Sessions:
        """What was said."""
        return Sessions(database=self.resources.database, outbox=self.resources.outbox)

    def session_lifecycle(self) -> SessionLifecycle:
        """Beginning and ending sessions."""
        return SessionLifecycle(sessions=self.sessions(), agents=self.agents(), turns=self.turns())

    # runs

    def turns(self) -> ports.Turns:
        """Asking for answers."""
        return self.runs.turns()

    def assembly(self) -> Assembly:
        """What a turn needs."""
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

    def models(self) -> ports.Models:
        """What answers."""
        return ModelRegistry(self.configuration(), self.providers)

    # sockets

    def frames(self) -> ports.Frames:
        """The way to browsers."""
        return self.browsers.frames

    def _socket_subjects(self) -> Subjects:
        canvases = self.canvases()
        return Subjects(turns=self.turns(), sessions=self.sessions(), canvases=canvases, drawings=canvases)

    # configuration

    def configuration(self) -> ports.Configuration:
        """Defaults and providers."""
        return self.configurations()

    def configurations(self) -> Configurations:
        """What accounts configured."""
        return Configurations(database=self.resources.database, envelope=self.envelope, outgoing=self.outgoing)

    def gateway_port(self) -> int:
        """Where the gateway listens, as pages are told."""
        return settings.gateway_port(self.resources.config)

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
            choosing=Choosing(rules=self.delegation_rules(), configuration=self.configuration()),
            doing=Doing(turns=self.turns, sessions=self.sessions(), most=self.resources.config.delegation_timeout),
            usage=self.usage(),
            frames=self.browsers.frames,
            clock=self.resources.clock,
        )

    def delegation_rules(self) -> Rules:
        """Who does which kind of work."""
        return Rules(database=self.resources.database)

    # canvas

    def canvases(self) -> Canvases:
        """What agents draw."""
        return Canvases(self.resources.database, self.browsers.frames, self.resources.clock)

    # channels

    def channel_list(self) -> Channels:
        """The ways by which people reach agents."""
        return Channels(self.configurations(), self.agents(), [self.browsers.web_channel])

    # voice

    def voices(self) -> Voices:
        """How people speak with agents."""
        client = SpeechClient(self.outgoing)
        return Voices(self.resources.database, self.browsers.frames, self.configuration(), client)

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
        resources = self.resources
        return Budgets(
            database=resources.database,
            clock=resources.clock,
            agents=self.agents(),
            sessions=self.sessions(),
            credentials=CredentialClient(resources.peers),
        )
