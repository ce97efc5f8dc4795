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
        """Make what finds agents."""
        ...

    def sessions(self) -> ports.Sessions:
        """Make what keeps sessions and their messages."""
        ...

    def frames(self) -> ports.Frames:
        """Give the one way to browsers that the process has."""
        ...

    def models(self) -> ports.Models:
        """Make what gives an account's models by their names."""
        ...

    def usage(self) -> ports.Usage:
        """Make what sets aside before calls of models and records what they took."""
        ...

    def pipeline_log(self) -> ports.PipelineLog:
        """Make what keeps timed turns."""
        ...

    def assembly(self) -> Assembly:
        """Make what gathers a turn's context."""
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
        """Make what has messages answered."""
        return Turns(
            database=self.resources.database,
            sessions=self._neighbours.sessions(),
            starting=self.starting(),
            waiting=self.waiting(),
            cancelling=self.cancelling(),
            worker=self.worker,
        )

    def messages(self) -> Messages:
        """Make what says a message for a request and waits for the answer."""
        timeout = self.resources.config.answer_timeout
        return Messages(turns=self.turns(), usage=self._neighbours.usage(), timeout=timeout)

    def following(self) -> Following:
        """Make what streams a run's events, stored and live."""
        return Following(database=self.resources.database, live=self.live, clock=self.resources.clock)

    def approvals(self) -> Approvals:
        """Make what takes decisions about tool calls."""
        return Approvals(database=self.resources.database, records=self.records(), worker=self.worker)

    def traffics(self) -> Traffics:
        """Make what counts the messages of channels."""
        return Traffics(database=self.resources.database)

    def tallies(self) -> Tallies:
        """Make what tells telemetry-ingest's stream what agents did."""
        resources = self.resources
        return Tallies(database=resources.database, bus=resources.bus, births=Births(), process=resources.process)

    # from a message to its answer

    def starting(self) -> Starting:
        """Make what makes runs of messages."""
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
        """Make what writes that runs begin."""
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
        """The one worker of this process, which does runs while its lease stands."""
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
        """Make what does a turn from its context to its end."""
        resources = self.resources
        return Engine(
            assembly=self._neighbours.assembly(),
            agent_loop=self.agent_loop(),
            endings=self.endings(),
            frames=self._neighbours.frames(),
            clock=resources.clock,
            tracing=resources.tracing,
            timeout=resources.config.run_timeout,
        )

    def agent_loop(self) -> AgentLoop:
        """Make what lets model and tools take turns."""
        resources = self.resources
        return AgentLoop(
            database=resources.database,
            transport=self.transport(),
            tool_executor=ToolExecutor(tracing=resources.tracing),
            facts=self.facts(),
            approval=resources.config.approval_timeout,
        )

    def transport(self) -> Transport:
        """Make what asks models, again where that helps, within budgets."""
        resources = self.resources
        return Transport(
            models=self._neighbours.models(),
            usage=self._neighbours.usage(),
            database=resources.database,
            clock=resources.clock,
            tracing=resources.tracing,
        )

    def endings(self) -> Endings:
        """Make what writes that runs are over."""
        return Endings(
            records=self.records(),
            sessions=self._neighbours.sessions(),
            usage=self._neighbours.usage(),
            pipeline_log=self._neighbours.pipeline_log(),
            facts=self.facts(),
            clock=self.resources.clock,
        )

    def waiting(self) -> Waiting:
        """Make what waits for answers."""
        return Waiting(
            database=self.resources.database,
            sessions=self._neighbours.sessions(),
            starting=self.starting(),
            live=self.live,
        )

    def cancelling(self) -> Cancelling:
        """Make what ends runs that nobody wants any more."""
        return Cancelling(database=self.resources.database, endings=self.endings(), worker=self.worker, live=self.live)

    def sweeping(self) -> Sweeping:
        """Make what ends runs whose process is gone, and forgets old ones."""
        return Sweeping(database=self.resources.database, endings=self.endings(), records=self.records())

    # what is told of them

    def records(self) -> Records:
        """Make what writes down and shows what happens in runs."""
        return Records(
            database=self.resources.database,
            leases=self.run_leases,
            live=self.live,
            frames=self._neighbours.frames(),
        )

    def facts(self) -> Facts:
        """Make what records facts about runs."""
        return Facts(self.resources.outbox)

    @cached_property
    def live(self) -> Live:
        """The one way of this process to those who follow runs."""
        return Live(self.resources.bus, process=self.resources.process)

    @cached_property
    def run_leases(self) -> Leases:
        """Leases under which workers do runs; one that is silent for `run_lease` has lost its runs."""
        resources = self.resources
        return Leases(resources.database, owner=resources.process, ttl=resources.config.run_lease)
