"""One step of one instance: read what it should be, have the backend make it so, note what was seen.

Every step can be repeated after a crash anywhere: the plan is read from rows, the backend compares it with what there
is, and the note is written by the holder of the reconciler's lease only, with the facts that follow from it.
"""

import msgspec
import structlog
from msgspec import Struct

from instance_orchestrator.clients.backend import Backend, PortsTakenError, RefusedByBackendError
from instance_orchestrator.clients.pairings import PairingClient
from instance_orchestrator.domain.instances import Desired, Instance, Phase
from instance_orchestrator.domain.plans import Identity, Observed, Plan, Seat, effective_keys
from instance_orchestrator.domain.ports import PortRange
from instance_orchestrator.domain.settings import Defaults
from instance_orchestrator.repositories.instances import InstanceRepository
from instance_orchestrator.repositories.keys import KeyRepository, SshKeyRepository
from instance_orchestrator.repositories.ports import PortRepository
from instance_orchestrator.repositories.settings import SettingRepository
from instance_orchestrator.usecases import facts
from shoal.clock import Clock
from shoal.crypto import Envelope
from shoal.database import Database, Transaction
from shoal.ids import new_id
from shoal.leases import Lease, Leases
from shoal.outbox import Outbox
from shoal.peers import PeerUnavailableError
from shoal_events import InstanceSshKeyApplied

TOKEN_GOOD_FOR_S = 120
"""A pairing token that can be redeemed for less than this is replaced."""


class Site(Struct, frozen=True, kw_only=True):
    """What all instances of this installation have in common."""

    image: str
    gateway_url: str
    ports: PortRange
    has_agent: bool
    """Whether instances run our agent, which wants a place on the dashboard."""


class Convergence:
    """Brings instances to what they should be, a step at a time."""

    def __init__(
        self,
        *,
        database: Database,
        outbox: Outbox,
        leases: Leases,
        envelope: Envelope,
        clock: Clock,
        backend: Backend,
        pairings: PairingClient,
        site: Site,
    ) -> None:
        self._database = database
        self._outbox = outbox
        self._leases = leases
        self._envelope = envelope
        self._clock = clock
        self._backend = backend
        self._pairings = pairings
        self._site = site

    async def step(self, instance_id: int, lease: Lease) -> bool:
        """Bring an instance as far as it can be brought now; whether nothing is left to be asked for.

        Raises:
            BackendUnavailableError: The backend cannot do it now.
            LeaseLostError: Somebody else reconciles.
        """
        async with self._database.reading() as database:
            found = await InstanceRepository(database).select(ids=[instance_id], is_deleted_too=True)
            predecessor = await InstanceRepository(database).predecessor(instance_id, found[0].name) if found else None
        if not found or found[0].removed_at is not None:
            return True
        instance = found[0]
        if instance.desired is Desired.DELETED:
            return await self._remove(instance, lease)
        if predecessor is not None:
            return False  # the volumes of that name are still the old one's
        if self._site.has_agent and instance.desired is Desired.RUNNING and not instance.is_paired:
            await self._seek_pairing(instance)
        plan = await self._plan(instance)
        try:
            seen = await self._backend.converge(plan)
        except PortsTakenError:
            await self._move_ports(instance, lease)
            return False
        except RefusedByBackendError as error:
            await self._note(plan, instance, Observed(Phase.FAILED, problem=str(error)), lease)
            return False
        await self._note(plan, instance, seen, lease)
        return True

    async def known(self) -> frozenset[int]:
        """List the instances of which the backend may hold something."""
        async with self._database.reading() as database:
            return frozenset(await InstanceRepository(database).ids(is_unfinished_only=False))

    async def unfinished(self) -> list[int]:
        """List the instances on which work is known to be left."""
        async with self._database.reading() as database:
            return await InstanceRepository(database).ids(is_unfinished_only=True)

    async def _plan(self, instance: Instance) -> Plan:
        async with self._database.transaction(read_only=True) as tx:
            keys = KeyRepository(tx, self._envelope)
            defaults = Defaults.of(await SettingRepository(tx).of(instance.account_id))
            host_key = await keys.host_key(instance.id)
            assert host_key is not None, "a host key lives as long as its instance"  # noqa: S101
            token = await keys.offer(instance.id, good_for_s=TOKEN_GOOD_FOR_S // 2)
            return Plan(
                identity=Identity(instance.id, instance.name),
                account_id=instance.account_id,
                generation=instance.generation,
                is_running=instance.desired is Desired.RUNNING,
                restarts=instance.restarts,
                ports=instance.ports,
                resources=instance.resources,
                image=instance.container_image or defaults.container_image or self._site.image,
                resolution=instance.vnc_resolution or defaults.vnc_resolution,
                config=await InstanceRepository(tx).config(instance.id),
                environment=effective_keys(
                    await keys.of_account(instance.account_id), await keys.of_instance(instance.id)
                ),
                host_key=host_key,
                authorized=await SshKeyRepository(tx).find(instance.id),
                seat=Seat(instance.agent_id, instance.name, self._site.gateway_url, token or ""),
                source=await InstanceRepository(tx).source(instance.id),
            )

    async def _seek_pairing(self, instance: Instance) -> None:
        """Have a place on the dashboard held open; an instance runs without one until it can be had."""
        async with self._database.reading() as database:
            if await KeyRepository(database, self._envelope).offer(instance.id, good_for_s=TOKEN_GOOD_FOR_S):
                return
        wanted = instance.pairing_id
        try:
            for _ in range(2):
                if wanted is None:
                    wanted = new_id("pair")
                    await self._keep_offer(instance.id, wanted)  # before the call: a crash asks for the same one
                offer = await self._pairings.hold_open(
                    wanted, account_id=instance.account_id, user_id=instance.user_id, name=instance.display_name
                )
                if offer is not None:
                    async with self._database.transaction() as tx:
                        await KeyRepository(tx, self._envelope).keep_offer(
                            instance.id, offer.pairing_id, offer.token, offer.expires_at
                        )
                    return
                wanted = None  # that one has ended
        except PeerUnavailableError as error:
            structlog.get_logger().info("pairing_waits", instance=instance.name, reason=str(error))

    async def _keep_offer(self, instance_id: int, pairing_id: str) -> None:
        async with self._database.transaction() as tx:
            await InstanceRepository(tx).set_pairing(instance_id, pairing_id, is_paired=False)

    async def _note(self, plan: Plan, instance: Instance, seen: Observed, lease: Lease) -> None:
        if self._is_noted(instance, seen) and not await self._has_unapplied_key(plan):
            return
        async with self._database.transaction() as tx:
            await self._leases.held(tx, lease)
            repository = InstanceRepository(tx)
            now = await repository.lock(instance.id)
            if now is None or now.desired is Desired.DELETED:
                return
            was_running, is_running = now.phase is Phase.RUNNING, seen.phase is Phase.RUNNING
            has_news = was_running is not is_running or (is_running and now.endpoint != seen.endpoint)
            await repository.observe(instance, seen, version=now.version + has_news)
            (noted,) = await repository.select(ids=[instance.id])
            if has_news:
                public_key = await KeyRepository(tx, self._envelope).host_public_key(instance.id)
                await self._outbox.append(tx, facts.running(noted, public_key) if is_running else facts.stopped(noted))
            await self._note_key(tx, plan)

    def _is_noted(self, instance: Instance, seen: Observed) -> bool:
        noted = Observed(instance.phase, instance.endpoint, instance.problem)
        is_applied = instance.generation == instance.observed_generation and instance.nudge == instance.observed_nudge
        return is_applied and noted == seen

    async def _has_unapplied_key(self, plan: Plan) -> bool:
        async with self._database.reading() as database:
            return await SshKeyRepository(database).is_unapplied(plan.identity.id)

    async def _note_key(self, tx: Transaction, plan: Plan) -> None:
        key = plan.authorized
        if key is None or not await SshKeyRepository(tx).mark_applied(plan.identity.id, key.version):
            return
        await self._outbox.append(
            tx,
            InstanceSshKeyApplied(
                instance_id=str(plan.identity.id),
                account_id=plan.account_id,
                fingerprint=key.fingerprint,
                key_version=key.version,
                applied_at=self._clock.now(),
            ),
        )

    async def _remove(self, instance: Instance, lease: Lease) -> bool:
        if not await self._backend.remove(Identity(instance.id, instance.name)):
            return False
        async with self._database.transaction() as tx:
            await self._leases.held(tx, lease)
            await PortRepository(tx).free(instance.id)
            await KeyRepository(tx, self._envelope).forget_instance(instance.id)
            await InstanceRepository(tx).mark_removed(instance.id)
        structlog.get_logger().info("instance_removed", instance=instance.name)
        return True

    async def _move_ports(self, instance: Instance, lease: Lease) -> None:
        """Take another pair; without one, say what is wrong and try again later."""
        ports = self._site.ports
        busy = self._backend.busy_ports(ports.first, ports.last)
        async with self._database.transaction() as tx:
            await self._leases.held(tx, lease)
            repository = PortRepository(tx)
            await repository.leave(instance.id)
            taken = await repository.take(instance.id, first=ports.first, last=ports.last, busy=busy)
            if taken is None:
                seen = Observed(Phase.FAILED, problem="every pair of ports is in use")
                await InstanceRepository(tx).observe(instance, seen, version=instance.version)
        structlog.get_logger().warning(
            "ports_moved", instance=instance.name, taken=msgspec.to_builtins(instance.ports), to=taken and taken.chrome
        )
