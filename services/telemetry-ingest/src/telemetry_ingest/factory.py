"""How everything here is made, top to bottom."""

from datetime import timedelta

from shoal.copies import Copy, Sweep
from shoal.identity import Principal
from shoal.jobs import Job, housekeeping
from shoal.leases import Leases
from shoal.outbox import Relay
from shoal.resources import Component, Resources
from shoal.subscriptions import Handler, Subscription
from shoal_events import Event, PairingConfirmed, PairingDeleted, PairingTokenReissued
from telemetry_ingest.clients.publisher import Publisher
from telemetry_ingest.config import Config
from telemetry_ingest.instruments import Instruments
from telemetry_ingest.jobs import forget_ended
from telemetry_ingest.subscribers import PairingSubscribers
from telemetry_ingest.usecases.admissions import Admissions
from telemetry_ingest.usecases.audiences import Audiences
from telemetry_ingest.usecases.credentials import Credentials
from telemetry_ingest.usecases.hearing import Means
from telemetry_ingest.usecases.pairings import Pairings
from telemetry_ingest.usecases.posts import Posts
from telemetry_ingest.usecases.presences import Presences
from telemetry_ingest.usecases.revocations import Revocations
from telemetry_ingest.usecases.rosters import Rosters
from telemetry_ingest.usecases.socket import Receive, Send, Socket
from telemetry_ingest.usecases.sockets import Sockets

RELAY_LEASE = timedelta(seconds=4)
"""Shorter than usual: the end of a dead process' presences waits for the next relay."""


class Factory:
    """Makes what the process has one of, the use cases of a request, and the components."""

    def __init__(self, resources: Resources[Config]) -> None:
        config, database, clock = resources.config, resources.database, resources.clock
        self.resources = resources
        self.instruments = Instruments(resources.metrics.registry)
        self.publisher = Publisher(resources.bus, process=resources.process, instruments=self.instruments)
        self.audiences = Audiences(resources.bus, self.instruments)
        self.credentials = Credentials(database, resources.peers)
        self.sockets = Sockets(
            self.credentials, clock, idle_timeout=config.idle_timeout, revalidate_every=config.revalidate_every
        )
        self.rosters = Rosters(database, has_ended=self.sockets.has_ended)
        self._presences = Presences(
            database,
            resources.outbox,
            clock,
            process=resources.process,
            beat=config.beat,
            silent_for=config.silent_for,
            on_superseded=self.sockets.supersede,
        )
        self.admissions = Admissions(
            database,
            self.sockets,
            self._presences,
            self.audiences,
            self.rosters,
            process=resources.process,
            sockets_per_user=config.sockets_per_user,
            silent_for=config.silent_for,
        )

    # use cases

    def socket(self, receive: Receive, send: Send, principal: Principal) -> Socket:
        """Make one socket of `/telemetry`."""
        means = Means(
            config=self.resources.config,
            clock=self.resources.clock,
            credentials=self.credentials,
            admissions=self.admissions,
            publisher=self.publisher,
            instruments=self.instruments,
        )
        return Socket(means, receive, send, principal)

    def posts(self) -> Posts:
        """Make what takes samples by request."""
        return Posts(self.resources.clock, self.credentials, self.rosters, self.publisher, self.instruments)

    def presences(self) -> Presences:
        """Give what knows which agents are there; the process has one."""
        return self._presences

    # what works beside requests

    def components(self) -> list[Component]:
        """List the components in the order of starting."""
        resources = self.resources
        pairings = Pairings(resources.database)
        subscribers = PairingSubscribers(pairings)
        told: dict[type[Event], Handler] = {
            PairingConfirmed: subscribers.on_confirmed,
            PairingTokenReissued: subscribers.on_token_reissued,
            PairingDeleted: subscribers.on_deleted,
        }
        sweep = Sweep(known=pairings.known, key=lambda fact: fact.pairing_id, end=pairings.vanished)
        return [
            self.publisher,
            self._presences,
            self.sockets,
            resources.listener("revocations", Revocations(self.sockets, self.rosters).acts()),
            self._relay(),
            resources.subscriber(Subscription("pairings", told)),
            resources.copier(Copy("pairings", owner="pairing", handlers=told, sweep=sweep)),
            resources.job(Job("forget ended", timedelta(hours=1), forget_ended(self._presences, pairings))),
            resources.job(housekeeping(resources.database)),
        ]

    def _relay(self) -> Component:
        resources = self.resources
        return Relay(
            service=resources.service,
            database=resources.database,
            bus=resources.bus,
            leases=Leases(resources.database, owner=resources.process, ttl=RELAY_LEASE),
            metrics=resources.metrics,
            tracing=resources.tracing,
            bell=resources.bell,
        )
