"""The process-wide parts that every service's factory is made with."""

import asyncio
import os
import socket
from collections.abc import Mapping
from datetime import timedelta
from typing import Generic, Protocol, TypeVar

import httpx
import msgspec

from shoal.clock import Clock, SystemClock
from shoal.config import ServiceConfig
from shoal.copies import Copier, Copy
from shoal.database import Database
from shoal.http.health import Health
from shoal.identity import Issuer, Verifier
from shoal.ids import new_id
from shoal.jobs import Job, JobRunner
from shoal.leases import Leases
from shoal.listening import Acts, Listener
from shoal.messaging import Bus, StreamLimits, trust
from shoal.outbox import Bell, Outbox, Relay
from shoal.peers import Peers
from shoal.subscriptions import Subscriber, Subscription
from shoal.telemetry import Metrics, Tracing

C = TypeVar("C", bound=ServiceConfig)


class Component(Protocol):
    """A part of a service that works beside its requests: a relay, a subscriber, a job."""

    @property
    def name(self) -> str:
        """What readiness and the log call it."""
        ...

    async def run(self) -> None:
        """Work until cancelled; one that raises or returns is logged and started again after a pause."""
        ...

    def problem(self) -> str | None:
        """Say why the service cannot do its work, or None."""
        ...


class Resources(Generic[C]):
    """Everything that is one per process and service, made once, top to bottom."""

    def __init__(
        self, service: str, config: C, environment: Mapping[str, str] | None = None, *, clock: Clock | None = None
    ) -> None:
        schema = service.replace("-", "_")
        environment = os.environ if environment is None else environment
        self.service = service
        self.config = config
        self.process = new_id("proc", length=10)
        self.clock: Clock = clock or SystemClock()
        self.metrics = Metrics()
        self.tracing = Tracing(service, environment=environment, ratio=config.trace_ratio)
        self.health = Health(self.metrics)
        self.database = Database(config.database_url.reveal(), schema=schema, pool_size=config.database_pool)
        self.leases = Leases(self.database, owner=f"{socket.gethostname()}/{self.process}")
        self.bus = Bus(
            config.nats_url.reveal(),
            name=f"shoal-{service}",
            limits=StreamLimits(replicas=config.stream_replicas),
            tls=trust(config.nats_ca),
        )
        self.bell = Bell(f"{schema}_outbox")
        self.outbox = Outbox(bell=self.bell, tracing=self.tracing)
        self.issuer = Issuer(service, config.identity_key.reveal())
        self.verifier = Verifier(service, msgspec.json.decode(config.identity_keys, type=dict[str, str]))
        self.peers = Peers(
            msgspec.json.decode(config.services, type=dict[str, str]),
            issuer=self.issuer,
            client=httpx.AsyncClient(timeout=httpx.Timeout(5, connect=1), trust_env=False),
        )

    async def close(self) -> None:
        """Give everything back, in the order that loses nothing."""
        await self.bus.close()
        await self.peers.close()
        await self.database.close()
        await asyncio.to_thread(self.tracing.close)

    # the components that most services have

    def relay(self, *, gather: timedelta = timedelta(0)) -> Component:
        """Make the component that publishes this service's facts; `gather` is how long one may wait for others."""
        return Relay(
            service=self.service,
            database=self.database,
            bus=self.bus,
            leases=self.leases,
            metrics=self.metrics,
            tracing=self.tracing,
            bell=self.bell,
            gather=gather,
        )

    def subscriber(self, subscription: Subscription) -> Component:
        """Make the component that handles facts of others."""
        return Subscriber(
            subscription,
            service=self.service,
            database=self.database,
            bus=self.bus,
            metrics=self.metrics,
            tracing=self.tracing,
        )

    def listener(self, name: str, acts: Acts) -> Component:
        """Make the component that acts on facts at once, in this process."""
        return Listener(name, acts, bus=self.bus, clock=self.clock)

    def copier(self, copy: Copy) -> Component:
        """Make the component that completes a copy of what another service owns."""
        return Copier(copy, database=self.database, peers=self.peers)

    def job(self, job: Job) -> Component:
        """Make the component that does something every so often."""
        return JobRunner(job, leases=self.leases, metrics=self.metrics)
