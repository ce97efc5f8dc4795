"""What was seen of instances, written by the holder of the reconciler's lease only, with the facts that follow."""

import msgspec
import structlog

from instance_orchestrator.domain.instances import Desired, Instance, Phase
from instance_orchestrator.domain.plans import Observed, Plan
from instance_orchestrator.domain.ports import PortRange
from instance_orchestrator.repositories.instances import InstanceRepository
from instance_orchestrator.repositories.keys import KeyRepository, SshKeyRepository
from instance_orchestrator.repositories.ports import PortRepository
from instance_orchestrator.usecases import facts
from shoal.clock import Clock
from shoal.crypto import Envelope
from shoal.database import Database, Transaction
from shoal.leases import Lease, Leases
from shoal.outbox import Outbox
from shoal_events import InstanceSshKeyApplied


class Sightings:
    """Notes what the backend showed; what is noted already is not noted again.

    Every method raises `LeaseLostError` when somebody else reconciles.
    """

    def __init__(self, *, database: Database, outbox: Outbox, leases: Leases, envelope: Envelope, clock: Clock) -> None:
        self._database = database
        self._outbox = outbox
        self._leases = leases
        self._envelope = envelope
        self._clock = clock

    async def note(self, plan: Plan, instance: Instance, seen: Observed, lease: Lease) -> None:
        """Note how an instance is, and that it was given its key."""
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

    async def removed(self, instance: Instance, lease: Lease) -> None:
        """Note that nothing is left of an instance, which gives back its ports."""
        async with self._database.transaction() as tx:
            await self._leases.held(tx, lease)
            await PortRepository(tx).free(instance.id)
            await KeyRepository(tx, self._envelope).forget_instance(instance.id)
            await InstanceRepository(tx).mark_removed(instance.id)
        structlog.get_logger().info("instance_removed", instance=instance.name)

    async def ports_taken(self, instance: Instance, lease: Lease, *, ports: PortRange, busy: list[int]) -> None:
        """Note that others have an instance's ports, and take another pair; without one, say what is wrong."""
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

    def _is_noted(self, instance: Instance, seen: Observed) -> bool:
        noted = Observed(instance.phase, instance.endpoint, instance.problem)
        is_applied = instance.generation == instance.observed_generation and instance.nudge == instance.observed_nudge
        return is_applied and noted == seen

    async def _has_unapplied_key(self, plan: Plan) -> bool:
        async with self._database.reading() as database:
            return await SshKeyRepository(database).is_unapplied(plan.instance.id)

    async def _note_key(self, tx: Transaction, plan: Plan) -> None:
        key = plan.authorized
        if key is None or not await SshKeyRepository(tx).mark_applied(plan.instance.id, key.version):
            return
        await self._outbox.append(
            tx,
            InstanceSshKeyApplied(
                instance_id=str(plan.instance.id),
                account_id=plan.account_id,
                fingerprint=key.fingerprint,
                key_version=key.version,
                applied_at=self._clock.now(),
            ),
        )
