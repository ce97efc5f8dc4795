"""How everything here is made, top to bottom."""

from datetime import timedelta

from pairing.config import Config
from pairing.connections.domain.plans import Plans
from pairing.connections.subscribers import PeopleSubscribers
from pairing.connections.usecases.agents import Agents
from pairing.connections.usecases.connections import Connections
from pairing.connections.usecases.keys import AgentKeys
from pairing.connections.usecases.pairings import AgentPairings
from pairing.connections.usecases.people import People, key_of
from pairing.connections.usecases.profiles import Profiles
from pairing.credentials import Credentials
from pairing.dashboard.jobs import expire_pairings
from pairing.dashboard.subscribers import PairingSubscribers, PresenceSubscribers
from pairing.dashboard.usecases.pairings import Pairings
from pairing.dashboard.usecases.presences import Presences, presence_of
from shoal.config import ConfigError
from shoal.copies import Copy, Sweep
from shoal.jobs import Job, housekeeping
from shoal.resources import Component, Resources
from shoal.subscriptions import Handlers, Subscription
from shoal_events import (
    AccountCreated,
    AccountDeleted,
    AgentOffline,
    AgentOnline,
    InstanceDeleted,
    UserCreated,
    UserDeleted,
    UserUpdated,
)


class Factory:
    """Makes the use cases of a request and the components of the process."""

    def __init__(self, resources: Resources[Config]) -> None:
        self.resources = resources
        self.plans = _plans(resources.config)

    # use cases: dashboards and agents

    def pairings(self) -> Pairings:
        """Dashboard pairings."""
        return Pairings(
            database=self.resources.database,
            outbox=self.resources.outbox,
            token_ttl=self.resources.config.token_ttl,
            public_url=self.resources.config.public_url,
        )

    def presences(self) -> Presences:
        """Which agents are online, as telemetry-ingest tells."""
        return Presences(database=self.resources.database)

    # use cases: agents and agents

    def agents(self) -> Agents:
        """Registered agents."""
        return Agents(
            database=self.resources.database,
            outbox=self.resources.outbox,
            pairings=self.agent_pairings(),
            plans=self.plans,
            token_ttl=self.resources.config.connect_token_ttl,
            public_url=self.resources.config.public_url,
        )

    def agent_keys(self) -> AgentKeys:
        """What agents come in with."""
        return AgentKeys(database=self.resources.database)

    def profiles(self) -> Profiles:
        """What an agent asks first."""
        return Profiles(database=self.resources.database, plans=self.plans)

    def connections(self) -> Connections:
        """Accounts that trust each other."""
        return Connections(
            database=self.resources.database,
            outbox=self.resources.outbox,
            pairings=self.agent_pairings(),
            plans=self.plans,
            clock=self.resources.clock,
            invites_per_hour=self.resources.config.invites_per_hour,
        )

    def agent_pairings(self) -> AgentPairings:
        """Agents of two connected accounts."""
        return AgentPairings(
            database=self.resources.database,
            outbox=self.resources.outbox,
            plans=self.plans,
            clock=self.resources.clock,
        )

    def people(self) -> People:
        """Accounts and users, as the gateway tells."""
        return People(agents=self.agents(), connections=self.connections())

    # both

    def credentials(self) -> Credentials:
        """Whose credential something is."""
        return Credentials(pairings=self.pairings(), agent_keys=self.agent_keys())

    # what works beside requests

    def components(self) -> list[Component]:
        """List the components in the order of starting."""
        resources = self.resources
        return [
            resources.relay(),
            *self._presence_told(),
            *self._ends_told(),
            *self._people_told(),
            resources.job(Job("expire pairings", resources.config.expiry_interval, expire_pairings(self.pairings))),
            resources.job(Job("forget connections", timedelta(hours=1), self.presences().forget_ended)),
            resources.job(housekeeping(resources.database)),
        ]

    def _presence_told(self) -> list[Component]:
        resources, presences = self.resources, self.presences()
        subscribers = PresenceSubscribers(presences)
        told: Handlers = {AgentOnline: subscribers.on_agent_online, AgentOffline: subscribers.on_agent_offline}
        sweep = Sweep(known=presences.known, key=presence_of, end=presences.vanished)
        copy = Copy("presence", owner="telemetry-ingest", handlers=told, is_required=False, sweep=sweep)
        return [resources.subscriber(Subscription("presence", told)), resources.copier(copy)]

    def _ends_told(self) -> list[Component]:
        resources, subscribers = self.resources, PairingSubscribers(self.pairings())
        accounts: Handlers = {AccountDeleted: subscribers.on_account_deleted}
        return [
            resources.subscriber(Subscription("accounts", accounts)),
            resources.copier(Copy("accounts", owner="gateway", handlers=accounts, is_required=False)),
            resources.subscriber(Subscription("instances", {InstanceDeleted: subscribers.on_instance_deleted})),
        ]

    def _people_told(self) -> list[Component]:
        resources, people = self.resources, self.people()
        subscribers = PeopleSubscribers(people)
        told: Handlers = {
            AccountCreated: subscribers.on_account_created,
            AccountDeleted: subscribers.on_account_deleted,
            UserCreated: subscribers.on_user_told,
            UserUpdated: subscribers.on_user_told,
            UserDeleted: subscribers.on_user_deleted,
        }
        sweep = Sweep(known=people.known, key=key_of, end=people.vanished)
        copy = Copy("people", owner="gateway", handlers=told, is_required=False, sweep=sweep)
        return [resources.subscriber(Subscription("people", told)), resources.copier(copy)]


def _plans(config: Config) -> Plans:
    try:
        return Plans.parse(config.plans, default=config.default_plan)
    except ValueError as error:
        raise ConfigError([f"PAIRING_PLANS or PAIRING_DEFAULT_PLAN: {error}"]) from error
