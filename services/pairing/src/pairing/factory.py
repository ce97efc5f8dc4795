"""How everything here is made, top to bottom."""

from pairing.config import Config
from pairing.dashboard.jobs import expire_pairings
from pairing.dashboard.subscribers import DashboardSubscribers
from pairing.dashboard.usecases import Pairings, Presence
from shoal.copies import Copy
from shoal.jobs import Job, housekeeping
from shoal.resources import Component, Resources
from shoal.subscriptions import Handlers, Subscription
from shoal_events import AccountDeleted, AgentOffline, AgentOnline


class Factory:
    """Makes the use cases of a request and the components of the process."""

    def __init__(self, resources: Resources[Config]) -> None:
        self.resources = resources

    # use cases

    def pairings(self) -> Pairings:
        """Dashboard pairings."""
        return Pairings(
            database=self.resources.database,
            outbox=self.resources.outbox,
            token_ttl=self.resources.config.token_ttl,
            public_url=self.resources.config.public_url,
        )

    def presence(self) -> Presence:
        """Which agents are online, as telemetry-ingest tells."""
        return Presence()

    # what works beside requests

    def components(self) -> list[Component]:
        """List the components in the order of starting."""
        subscribers = DashboardSubscribers(pairings=self.pairings(), presence=self.presence())
        told: Handlers = {
            AgentOnline: subscribers.on_agent_online,
            AgentOffline: subscribers.on_agent_offline,
        }
        presence = Subscription("presence", told)
        accounts = Subscription("accounts", {AccountDeleted: subscribers.on_account_deleted})
        resources = self.resources
        return [
            resources.relay(),
            resources.subscriber(presence),
            resources.subscriber(accounts),
            resources.copier(Copy("presence", owner="telemetry-ingest", handlers=told, is_required=False)),
            resources.job(Job("expire pairings", resources.config.expiry_interval, expire_pairings(self.pairings))),
            resources.job(housekeeping(resources.database)),
        ]
