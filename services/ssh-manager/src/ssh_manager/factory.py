"""How everything here is made, top to bottom."""

import asyncio
from datetime import timedelta

from shoal.copies import Copy
from shoal.jobs import Job, housekeeping
from shoal.leases import Leases
from shoal.resealing import Resealing
from shoal.resources import Component, Resources
from shoal.subscriptions import Handlers, Subscription
from shoal.vault import KeyCheck
from shoal_events import (
    AssignmentChanged,
    InstanceCreated,
    InstanceDeleted,
    InstanceRenamed,
    InstanceRunning,
    InstanceSshKeyApplied,
    InstanceStopped,
)
from ssh_manager import ports
from ssh_manager.audit.jobs import keep_audit
from ssh_manager.audit.repositories import SEALED as SEALED_AUDIT_KEY
from ssh_manager.audit.usecases.addresses import AllowedAddresses
from ssh_manager.audit.usecases.log import AuditLog
from ssh_manager.config import Config
from ssh_manager.dialing import Dialing
from ssh_manager.fleet.subscribers import FleetSubscribers
from ssh_manager.fleet.usecases import Access, Fleet
from ssh_manager.keys.jobs import RotationWorker, rotate_old
from ssh_manager.keys.repositories import SEALED as SEALED_KEYS
from ssh_manager.keys.subscribers import KeySubscribers
from ssh_manager.keys.usecases.admission import Admission
from ssh_manager.keys.usecases.keys import Keys
from ssh_manager.keys.usecases.requests import RotationRequests
from ssh_manager.keys.usecases.rotations import Rotations
from ssh_manager.keys.usecases.rows import RotationRows
from ssh_manager.keys.usecases.steps import Progress, RotationSteps
from ssh_manager.links.instruments import measure
from ssh_manager.links.jobs import forget_history
from ssh_manager.links.usecases.attempts import Attempts
from ssh_manager.links.usecases.history import History
from ssh_manager.links.usecases.link import LinkSettings, Tools
from ssh_manager.links.usecases.links import Links
from ssh_manager.links.usecases.reports import LinkReports
from ssh_manager.links.usecases.requests import LinkRequests
from ssh_manager.passages import Passages
from ssh_manager.vault import VARIABLE, open_vault

CONNECTING_AT_ONCE = 16
DAILY = timedelta(days=1)


class Factory:
    """Makes the use cases of a request and the components of the process."""

    def __init__(self, resources: Resources[Config]) -> None:
        config, database = resources.config, resources.database
        self.resources = resources
        self.envelope = open_vault(config)
        self.dialing = Dialing(config.connect_timeout, config.keepalive_interval)
        self.fleet = Fleet(database=database)
        self.history = History(database=database, clock=resources.clock)
        self.audit = AuditLog(database=database, envelope=self.envelope, retention_days=config.audit_retention_days)
        self.keys = Keys(
            database=database,
            outbox=resources.outbox,
            envelope=self.envelope,
            audit=self.audit,
            events=self.history,
        )
        self.links = self._links()
        measure(self.links, resources.metrics.registry)
        self.progress = Progress()
        self.rotation_rows = RotationRows(database=database, outbox=resources.outbox, envelope=self.envelope)
        self.rotations = Rotations(
            rows=self.rotation_rows,
            keys=self.keys,
            fleet=self.fleet,
            links=self.links,
            audit=self.audit,
            progress=self.progress,
        )
        self.passages = Passages(
            resources,
            access=self.access(),
            fleet=self.fleet,
            links=self.links,
            audit=self.audit,
            addresses=self.allowed_addresses(),
        )
        self.tunnels: ports.Tunnels = self.passages.tunnels()
        self._acquaint()

    # use cases

    def access(self) -> Access:
        """Who may use which instance."""
        return Access(database=self.resources.database)

    def give_keys(self) -> Keys:
        """The keys by which we sign in."""
        return self.keys

    def rotation_requests(self) -> RotationRequests:
        """Rotations that people ask for."""
        return RotationRequests(
            rotations=self.rotations,
            addresses=self.allowed_addresses(),
            patience=self.resources.config.rotation_patience,
        )

    def link_reports(self) -> LinkReports:
        """What is shown of connections."""
        return LinkReports(links=self.links, tunnels=self.tunnels, clock=self.resources.clock)

    def link_requests(self) -> LinkRequests:
        """Tests and reconnections that people ask for."""
        attempts = Attempts(
            keys=self.keys, addresses=self.allowed_addresses(), audit=self.audit, clock=self.resources.clock
        )
        return LinkRequests(
            attempts=attempts, links=self.links, dialing=self.dialing, tunnels=self.tunnels, history=self.history
        )

    def give_history(self) -> History:
        """What happened to connections."""
        return self.history

    def audit_log(self) -> AuditLog:
        """The audit log."""
        return self.audit

    def allowed_addresses(self) -> AllowedAddresses:
        """From where callers may reach instances."""
        return AllowedAddresses(database=self.resources.database, audit=self.audit, events=self.history)

    # what works beside requests

    def components(self) -> list[Component]:
        """List the components in the order of starting."""
        resources = self.resources
        fleet, keys = self._fleet_told(), self._keys_told()
        return [
            KeyCheck(self.audit.open, variable=VARIABLE),
            self.audit.backlog,
            self.history.backlog,
            resources.relay(),
            resources.subscriber(Subscription("fleet", fleet)),
            resources.subscriber(Subscription("keys", keys)),
            resources.copier(Copy("instances", owner="instance-orchestrator", handlers=fleet)),
            self.links,
            RotationWorker(self.rotations, self._rotation_steps(), self.progress),
            *self.passages.components(),
            *(resources.job(job) for job in self._jobs()),
        ]

    def _jobs(self) -> list[Job]:
        config = self.resources.config
        jobs = [
            housekeeping(self.resources.database),
            Job("audit", DAILY, keep_audit(self.audit)),
            Job("history", DAILY, forget_history(self.history, age=timedelta(days=config.history_days))),
            Resealing(self.resources.database, self.envelope, [SEALED_KEYS, SEALED_AUDIT_KEY]).job(),
        ]
        if config.rotation_days:
            act = rotate_old(self.rotations, age=timedelta(days=config.rotation_days))
            jobs.append(Job("rotate old keys", config.rotation_interval, act))
        return jobs

    def _rotation_steps(self) -> RotationSteps:
        return RotationSteps(
            rows=self.rotation_rows,
            admission=Admission(keys=self.keys, links=self.links, dialing=self.dialing),
            fleet=self.fleet,
            audit=self.audit,
            events=self.history,
            progress=self.progress,
        )

    def _links(self) -> Links:
        resources, config = self.resources, self.resources.config
        on_connected: list[ports.OnConnected] = []
        on_lost: list[ports.OnLost] = []
        tools = Tools(
            dialing=self.dialing,
            keys=self.keys,
            history=self.history,
            audit=self.audit,
            clock=resources.clock,
            settings=LinkSettings(
                max_pause=config.max_pause,
                give_up_after=config.give_up_after,
                health_interval=config.health_interval,
                health_timeout=config.health_timeout,
            ),
            turns=asyncio.Semaphore(CONNECTING_AT_ONCE),
            on_connected=on_connected,
            on_lost=on_lost,
        )
        # A lease of its own length: what the process before us held is away for as long.
        leases = Leases(resources.database, owner=resources.process, ttl=config.lease_ttl)
        return Links(
            leases=leases,
            fleet=self.fleet,
            tools=tools,
            ttl=config.lease_ttl,
            on_connected=on_connected,
            on_lost=on_lost,
        )

    def _acquaint(self) -> None:
        """Tell subjects of each other what each has to know."""
        addresses = self.allowed_addresses()
        self.fleet.on_created(self.keys.make)
        self.fleet.on_change(self.links.look)
        for forget in (self.keys.forget, self.history.forget, addresses.forget):
            self.fleet.on_deleted(forget)

        async def go_on(_: ports.Instance, __: object) -> None:
            self.progress.wanted.set()

        self.links.on_connected(go_on)

    def _keys_told(self) -> Handlers:
        def act(instance_id: int) -> None:
            self.links.retry(instance_id)
            self.progress.wanted.set()

        subscribers = KeySubscribers(self.keys, on_applied=act)
        return {InstanceSshKeyApplied: subscribers.on_key_applied}

    def _fleet_told(self) -> Handlers:
        subscribers = FleetSubscribers(self.fleet)
        return {
            InstanceCreated: subscribers.on_created,
            InstanceRenamed: subscribers.on_renamed,
            InstanceRunning: subscribers.on_running,
            InstanceStopped: subscribers.on_stopped,
            InstanceDeleted: subscribers.on_deleted,
            AssignmentChanged: subscribers.on_assignment_changed,
        }
