"""How everything here is made, top to bottom."""

from datetime import timedelta

import msgspec

from instance_orchestrator.clients.backend import Backend
from instance_orchestrator.clients.local.backend import LocalBackend, LocalSettings
from instance_orchestrator.clients.pairings import PairingClient
from instance_orchestrator.config import Config
from instance_orchestrator.domain.ports import PortRange
from instance_orchestrator.instruments import Instruments
from instance_orchestrator.jobs.reconciler import Reconciler
from instance_orchestrator.repositories.keys import KEY_CHECK, SEALED
from instance_orchestrator.subscribers import Subscribers
from instance_orchestrator.usecases.assignments import Assignments
from instance_orchestrator.usecases.configurations import Configurations
from instance_orchestrator.usecases.convergence import Convergence
from instance_orchestrator.usecases.exports import Exports
from instance_orchestrator.usecases.instances import Instances
from instance_orchestrator.usecases.logs import Logs
from instance_orchestrator.usecases.planning import Planning, Site
from instance_orchestrator.usecases.seats import Seats
from instance_orchestrator.usecases.settings import Settings
from instance_orchestrator.usecases.sightings import Sightings
from instance_orchestrator.usecases.ssh_keys import SshKeys
from shoal.config import ConfigError
from shoal.copies import Copy, Sweep
from shoal.jobs import Job, housekeeping
from shoal.resealing import Resealing
from shoal.resources import Component, Resources
from shoal.subscriptions import Handlers, Subscription
from shoal.vault import KeyCheck, KeyProof, envelope_of
from shoal_events import (
    AccountDeleted,
    PairingConfirmed,
    PairingDeleted,
    SshKeyCreated,
    SshKeyRotated,
    UserCreated,
    UserDeleted,
    UserUpdated,
)

LOCAL, KUBERNETES = "local", "kubernetes"
KEY_VARIABLE = "INSTANCE_ORCHESTRATOR_ENCRYPTION_KEY"


class Factory:
    """Makes the use cases of a request and the components of the process."""

    def __init__(self, resources: Resources[Config]) -> None:
        config = resources.config
        self.resources = resources
        self.ports = _ports(config)
        self.envelope = envelope_of(
            config.encryption_key,
            variable=KEY_VARIABLE,
            kept_in=config.state / "instance-orchestrator.key" if config.backend == LOCAL else None,
        )
        self.backend = self._backend(config)
        resources.health.add_detail("orchestrator_backend", lambda: config.backend)
        resources.health.add_detail("kubernetes", self._kubernetes)

    # use cases

    def instances(self) -> Instances:
        """Instances."""
        return Instances(
            database=self.resources.database,
            outbox=self.resources.outbox,
            envelope=self.envelope,
            ports=self.ports,
            busy_ports=self.backend.busy_ports,
        )

    def configurations(self) -> Configurations:
        """Configs of instances."""
        return Configurations(database=self.resources.database)

    def logs(self) -> Logs:
        """Logs of instances."""
        return Logs(database=self.resources.database, backend=self.backend, clock=self.resources.clock)

    def settings(self) -> Settings:
        """Settings of accounts."""
        return Settings(database=self.resources.database, envelope=self.envelope)

    def assignments(self) -> Assignments:
        """Who may use which instances."""
        return Assignments(database=self.resources.database, outbox=self.resources.outbox)

    def exports(self) -> Exports:
        """Everything, for copies."""
        return Exports(database=self.resources.database, envelope=self.envelope)

    def public_url(self) -> str:
        """Where people reach the gateway, and through it the pages of instances."""
        return self.resources.config.public_url

    # what works beside requests

    def components(self) -> list[Component]:
        """List the components in the order of starting."""
        assignments = self.assignments()
        subscribers = Subscribers(
            instances=self.instances(), assignments=assignments, ssh_keys=SshKeys(), seats=Seats()
        )
        users: Handlers = {
            UserCreated: subscribers.on_user_created,
            UserUpdated: subscribers.on_user_updated,
            UserDeleted: subscribers.on_user_deleted,
        }
        keys: Handlers = {
            SshKeyCreated: subscribers.on_ssh_key_created,
            SshKeyRotated: subscribers.on_ssh_key_rotated,
        }
        pairings: Handlers = {
            PairingConfirmed: subscribers.on_pairing_confirmed,
            PairingDeleted: subscribers.on_pairing_deleted,
        }
        accounts: Handlers = {AccountDeleted: subscribers.on_account_deleted}
        sweep = Sweep(assignments.known_users, lambda fact: fact.user_id, assignments.vanished_user)
        resources = self.resources
        return [
            KeyCheck(KeyProof(resources.database, self.envelope, place=KEY_CHECK.place).give, variable=KEY_VARIABLE),
            resources.relay(),
            resources.subscriber(Subscription("users", users)),
            resources.subscriber(Subscription("ssh-keys", keys)),
            resources.subscriber(Subscription("pairings", pairings)),
            resources.subscriber(Subscription("accounts", accounts)),
            resources.copier(Copy("users", owner="gateway", handlers=users, is_required=False, sweep=sweep)),
            resources.copier(Copy("accounts", owner="gateway", handlers=accounts, is_required=False)),
            self._reconciler(),
            resources.job(housekeeping(resources.database)),
            resources.job(Resealing(resources.database, self.envelope, SEALED).job()),
            resources.job(Job("forget creations", timedelta(hours=1), self.instances().forget_creations)),
        ]

    def _reconciler(self) -> Reconciler:
        resources, config = self.resources, self.resources.config
        planning = Planning(
            database=resources.database,
            envelope=self.envelope,
            pairings=PairingClient(resources.peers),
            site=Site(image=config.image, gateway_url=self._gateway_url(config), has_agent=config.has_shoal_agent),
        )
        sightings = Sightings(
            database=resources.database,
            outbox=resources.outbox,
            leases=resources.leases,
            envelope=self.envelope,
            clock=resources.clock,
        )
        convergence = Convergence(
            database=resources.database,
            backend=self.backend,
            planning=planning,
            sightings=sightings,
            ports=self.ports,
        )
        return Reconciler(
            database=resources.database,
            leases=resources.leases,
            backend=self.backend,
            convergence=convergence,
            concurrency=config.concurrency,
            resync=config.resync,
            instruments=Instruments(resources.metrics.registry),
        )

    def _kubernetes(self) -> str:
        if self.resources.config.backend == LOCAL:
            return "disabled"
        return "connected" if self.backend.problem() is None else "disconnected"

    def _gateway_url(self, config: Config) -> str:
        """Tell instances the gateway's own address where it is on this machine, else the public one."""
        addresses = msgspec.json.decode(config.services, type=dict[str, str])
        if config.backend == LOCAL and "gateway" in addresses:
            return f"http://{addresses['gateway']}"
        return config.public_url

    def _backend(self, config: Config) -> Backend:
        if config.backend == LOCAL:
            return LocalBackend(
                LocalSettings(
                    root=config.state / "instances",
                    host=config.node_address,
                    interval_s=config.sample_interval.total_seconds(),
                    alone_grace_s=config.alone_grace.total_seconds(),
                    orphan_grace_s=config.orphan_grace.total_seconds(),
                )
            )
        if config.backend == KUBERNETES:
            return _kubernetes_backend(config)
        raise ConfigError([f"INSTANCE_ORCHESTRATOR_BACKEND: {config.backend!r} is neither local nor kubernetes"])


def _ports(config: Config) -> PortRange:
    try:
        return PortRange.parse(config.ports)
    except ValueError as error:
        raise ConfigError([f"INSTANCE_ORCHESTRATOR_PORTS: {error}"]) from error


def _kubernetes_backend(config: Config) -> Backend:
    # Here, because the library that it stands on takes a second and 80 MB to load, which local instances do without.
    from instance_orchestrator.clients.kubernetes.backend import (  # noqa: PLC0415
        KubernetesBackend,
        KubernetesSettings,
    )
    from instance_orchestrator.clients.kubernetes.manifests import PodSettings  # noqa: PLC0415

    pods = PodSettings(
        installation=config.installation,
        storage_class=config.storage_class,
        image_pull_secret=config.image_pull_secret,
        image_pull_policy=config.image_pull_policy,
        run_as_user=config.run_as_user,
        is_privileged=config.is_privileged,
        ssh_user=config.ssh_user,
        interval_s=config.sample_interval.total_seconds(),
    )
    return KubernetesBackend(
        KubernetesSettings(
            namespace=config.namespace,
            kubeconfig=config.kubeconfig,
            orphan_grace_s=config.orphan_grace.total_seconds(),
            pods=pods,
        )
    )
