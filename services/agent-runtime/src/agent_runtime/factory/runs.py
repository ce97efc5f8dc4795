"""Runs: how messages are answered."""

from functools import cached_property
from typing import Protocol

from agent_runtime import ports
from agent_runtime.agents.usecases import Births
from agent_runtime.config import Config
from agent_runtime.runs.clients.live import Live
from agent_runtime.runs.usecases.agent_loop import AgentLoop
from agent_runtime.runs.usecases.approvals import Approvals
from agent_runtime.runs.usecases.assembly import Assembly
from agent_runtime.runs.usecases.beginnings import Beginnings
from agent_runtime.runs.usecases.cancelling import Cancelling
from agent_runtime.runs.usecases.endings import Endings
from agent_runtime.runs.usecases.engine import Engine
from agent_runtime.runs.usecases.facts import Facts
from agent_runtime.runs.usecases.following import Following
from agent_runtime.runs.usecases.messages import Messages
from agent_runtime.runs.usecases.recorder import Records
from agent_runtime.runs.usecases.starting import Starting
from agent_runtime.runs.usecases.sweeping import Sweeping
from agent_runtime.runs.usecases.tallies import Tallies
from agent_runtime.runs.usecases.tool_executor import ToolExecutor
from agent_runtime.runs.usecases.traffics import Traffics
from agent_runtime.runs.usecases.transport import Transport
from agent_runtime.runs.usecases.turns import Turns
from agent_runtime.runs.usecases.waiting import Waiting
from agent_runtime.runs.usecases.worker import Worker
from shoal.leases import Leases
from shoal.resources import Resources


class Neighbours(Protocol):
    """Whom turns ask, and what they are made of beside."""

    def agents(self) -> ports.Agents:
        """Who there is."""
        ...

    def sessions(self) -> ports.Sessions:
        """What was said."""
        ...

    def frames(self) -> ports.Frames:
        """The way to browsers."""
        ...

    def models(self) -> ports.Models:
        """What answers."""
        ...

    def usage(self) -> ports.Usage:
        """Tokens and budgets."""
        ...

    def pipeline_log(self) -> ports.PipelineLog:
        """Timed turns."""
        ...

    def assembly(self) -> Assembly:
        """What a turn needs."""
        ...


class RunFactory:
    """Makes what messages are answered by.

    Args:
        resources: The process's.
        neighbours: Whom turns ask; looked at only when something is made.
    """

    def __init__(self, resources: Resources[Config], *, neighbours: Neighbours) -> None:
        self.resources = resources
        self._neighbours = neighbours

    # what requests ask for

    def turns(self) -> Turns:
        """Asking for answers."""
        return Turns(
            database=self.resources.database,
            sessions=self._neighbours.sessions(),
            starting=self.starting(),
            waiting=self.waiting(),
            cancelling=self.cancelling(),
            worker=self.worker,
        )

    def messages(self) -> Messages:
        """Saying something, and hearing what comes of it."""
        return Messages(turns=self.turns(), usage=self._neighbours.usage(), most=self.resources.config.answer_timeout)

    def following(self) -> Following:
        """Streams of runs."""
        return Following(database=self.resources.database, live=self.live, clock=self.resources.clock)

    def approvals(self) -> Approvals:
        """Deciding about tool calls."""
        return Approvals(database=self.resources.database, records=self.records(), worker=self.worker)

    def traffics(self) -> Traffics:
        """What went through channels."""
        return Traffics(database=self.resources.database)

    def tallies(self) -> Tallies:
        """What agents did, as telemetry."""
        resources = self.resources
        return Tallies(database=resources.database, bus=resources.bus, births=Births(), process=resources.process)

    # from a message to its answer

    def starting(self) -> Starting:
        """Making runs of messages."""
        resources = self.resources
        return Starting(
            database=resources.database,
            agents=self._neighbours.agents(),
            sessions=self._neighbours.sessions(),
            beginnings=self.beginnings(),
            cancelling=self.cancelling(),
            worker=self.worker,
            tracing=resources.tracing,
        )

    def beginnings(self) -> Beginnings:
        """How runs begin."""
        resources = self.resources
        return Beginnings(
            database=resources.database,
            sessions=self._neighbours.sessions(),
            records=self.records(),
            facts=self.facts(),
            clock=resources.clock,
        )

    @cached_property
    def worker(self) -> Worker:
        """Who does runs in this process."""
        resources = self.resources
        return Worker(
            process=resources.process,
            database=resources.database,
            leases=self.run_leases,
            live=self.live,
            beginnings=self.beginnings(),
            engine=self.engine(),
            sweeping=self.sweeping(),
        )

    def engine(self) -> Engine:
        """How a turn is done."""
        resources = self.resources
        return Engine(
            assembly=self._neighbours.assembly(),
            agent_loop=self.agent_loop(),
            endings=self.endings(),
            frames=self._neighbours.frames(),
            clock=resources.clock,
            tracing=resources.tracing,
            most=resources.config.run_timeout,
        )

    def agent_loop(self) -> AgentLoop:
        """How model and tools take turns."""
        resources = self.resources
        return AgentLoop(
            database=resources.database,
            transport=self.transport(),
            tool_executor=ToolExecutor(tracing=resources.tracing),
            facts=self.facts(),
            approval=resources.config.approval_timeout,
        )

    def transport(self) -> Transport:
        """How models are asked."""
        resources = self.resources
        return Transport(
            models=self._neighbours.models(),
            usage=self._neighbours.usage(),
            database=resources.database,
            clock=resources.clock,
            tracing=resources.tracing,
        )

    def endings(self) -> Endings:
        """How runs end."""
        return Endings(
            records=self.records(),
            sessions=self._neighbours.sessions(),
            pipeline_log=self._neighbours.pipeline_log(),
            facts=self.facts(),
            clock=self.resources.clock,
        )

    def waiting(self) -> Waiting:
        """Waiting for answers."""
        return Waiting(
            database=self.resources.database,
            sessions=self._neighbours.sessions(),
            starting=self.starting(),
            live=self.live,
        )

    def cancelling(self) -> Cancelling:
        """Wanting answers no more."""
        return Cancelling(database=self.resources.database, endings=self.endings(), worker=self.worker, live=self.live)

    def sweeping(self) -> Sweeping:
        """What runs are looked after by."""
        return Sweeping(database=self.resources.database, endings=self.endings(), records=self.records())

    # what is told of them

    def records(self) -> Records:
        """What happened in runs."""
        return Records(
            database=self.resources.database,
            leases=self.run_leases,
            live=self.live,
            frames=self._neighbours.frames(),
        )

    def facts(self) -> Facts:
        """What other services are told."""
        return Facts(self.resources.outbox)

    @cached_property
    def live(self) -> Live:
        """What happens in runs, live."""
        return Live(self.resources.bus, process=self.resources.process)

    @cached_property
    def run_leases(self) -> Leases:
        """How long a process that is silent keeps its runs."""
        resources = self.resources
        return Leases(resources.database, owner=resources.process, ttl=resources.config.run_lease)
