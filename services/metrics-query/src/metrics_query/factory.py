"""How everything here is made, top to bottom."""

from metrics_query.config import Config
from metrics_query.jobs import keep, roll_up
from metrics_query.subscribers.agents import AgentSubscribers
from metrics_query.subscribers.samples import SampleSubscriber
from metrics_query.usecases.agents import Agents, place_of
from metrics_query.usecases.fleet import Fleet
from metrics_query.usecases.history import History
from metrics_query.usecases.retention import Retention
from metrics_query.usecases.rollups import Rollups
from metrics_query.usecases.samples import Samples
from metrics_query.usecases.skills import SkillHistory
from shoal.copies import Copy, Sweep
from shoal.jobs import Job, housekeeping
from shoal.resources import Component, Resources
from shoal.subscriptions import Handlers, Subscription
from shoal_events import (
    AccountDeleted,
    PairingConfirmed,
    PairingDeleted,
    PairingRenamed,
    RuntimeAgentCreated,
    RuntimeAgentDeleted,
    RuntimeAgentUpdated,
)


class Factory:
    """Makes the use cases of a request and the components of the process."""

    def __init__(self, resources: Resources[Config]) -> None:
        self.resources = resources

    # use cases

    def history(self) -> History:
        """Make what charts one agent."""
        return History(database=self.resources.database, clock=self.resources.clock)

    def skill_history(self) -> SkillHistory:
        """Make what sums up the skills of one agent."""
        return SkillHistory(database=self.resources.database, clock=self.resources.clock)

    def fleet(self) -> Fleet:
        """Make what sums up all agents of an account."""
        return Fleet(database=self.resources.database, clock=self.resources.clock)

    def agents(self) -> Agents:
        """Make what knows which agents there are."""
        return Agents(database=self.resources.database)

    def samples(self) -> Samples:
        """Make what counts samples."""
        resources = self.resources
        return Samples(database=resources.database, clock=resources.clock, minutes_kept=resources.config.minutes_kept)

    def rollups(self) -> Rollups:
        """Make what rolls minutes up into hours and days."""
        return Rollups(database=self.resources.database)

    def retention(self) -> Retention:
        """Make what opens days and forgets old rows."""
        resources = self.resources
        return Retention(
            database=resources.database,
            clock=resources.clock,
            minutes_kept=resources.config.minutes_kept,
            hours_kept=resources.config.hours_kept,
        )

    # what works beside requests

    def components(self) -> list[Component]:
        """List the components in the order of starting."""
        resources, config = self.resources, self.resources.config
        agents = self.agents()
        subscribers = AgentSubscribers(agents)
        told: Handlers = {
            PairingConfirmed: subscribers.on_pairing_confirmed,
            PairingRenamed: subscribers.on_pairing_renamed,
            PairingDeleted: subscribers.on_pairing_deleted,
        }
        running: Handlers = {
            RuntimeAgentCreated: subscribers.on_runtime_agent_created,
            RuntimeAgentUpdated: subscribers.on_runtime_agent_updated,
            RuntimeAgentDeleted: subscribers.on_runtime_agent_deleted,
        }
        sweep_running = Sweep(known=agents.known_running, key=place_of, end=agents.vanished)
        sweep = Sweep(known=agents.known, key=lambda fact: fact.pairing_id, end=agents.vanished)
        accounts: Handlers = {AccountDeleted: subscribers.on_account_deleted}
        roll = roll_up(self.rollups(), at_least=config.rollup_after)
        return [
            resources.subscriber(Subscription("agents", told)),
            resources.subscriber(Subscription("accounts", accounts)),
            resources.copier(Copy("pairings", owner="pairing", handlers=told, sweep=sweep)),
            resources.subscriber(Subscription("runtime-agents", running)),
            resources.copier(
                Copy("runtime agents", owner="agent-runtime", handlers=running, is_required=False, sweep=sweep_running)
            ),
            resources.copier(Copy("accounts", owner="gateway", handlers=accounts, is_required=False)),
            SampleSubscriber(
                self.samples(),
                database=resources.database,
                bus=resources.bus,
                tracing=resources.tracing,
                registry=resources.metrics.registry,
                at_once=config.batches_at_once,
            ),
            resources.job(Job("roll up", config.rollup_every, roll)),
            resources.job(Job("retention", config.retention_interval, keep(self.retention(), agents))),
            resources.job(housekeeping(resources.database)),
        ]
