"""What people do with instances: each call writes what should be, in one transaction, and waits for nothing else."""

import secrets
from collections.abc import Callable, Sequence
from datetime import timedelta

import msgspec

from instance_orchestrator.domain import keys
from instance_orchestrator.domain.changes import (
    InstanceChange,
    NewInstance,
    config_of,
    image_of,
    models_of,
    resolution_of,
    resources_with,
)
from instance_orchestrator.domain.host_keys import new_host_key
from instance_orchestrator.domain.instances import Desired, Instance, Phase
from instance_orchestrator.domain.names import display_name_of, name_of, with_suffix
from instance_orchestrator.domain.ports import PortRange
from instance_orchestrator.domain.settings import Defaults
from instance_orchestrator.errors import (
    AdminOnlyError,
    IdempotencyKeyReusedError,
    InvalidInstanceError,
    NameTakenError,
    NoFreePortsError,
)
from instance_orchestrator.repositories.assignments import AssignmentRepository
from instance_orchestrator.repositories.creations import Creation, CreationRepository
from instance_orchestrator.repositories.instances import InstanceRepository
from instance_orchestrator.repositories.keys import KeyRepository
from instance_orchestrator.repositories.ports import PortRepository
from instance_orchestrator.repositories.settings import SettingRepository
from instance_orchestrator.usecases import facts
from instance_orchestrator.usecases.access import accessible
from shoal.crypto import Envelope
from shoal.database import Database, Transaction, violation_as
from shoal.identity import Principal
from shoal.outbox import Outbox

WORK = "instance_orchestrator_work"
"""The channel on which the reconciler hears that there is work."""
KEYS_LAST = timedelta(days=1)
"""How long the name of a request is remembered."""


class Instances:
    """Make, show, change and delete instances."""

    def __init__(
        self,
        *,
        database: Database,
        outbox: Outbox,
        envelope: Envelope,
        ports: PortRange,
        busy_ports: Callable[[int, int], Sequence[int]],
    ) -> None:
        self._database = database
        self._outbox = outbox
        self._envelope = envelope
        self._ports = ports
        self._busy_ports = busy_ports

    async def list_for(self, by: Principal) -> list[Instance]:
        """List the instances that the caller may use, in the account's order."""
        async with self._database.reading() as database:
            return await InstanceRepository(database).select(
                account_id=by.account_id, user_id=None if by.is_admin else by.user_id
            )

    async def get(self, instance_id: str, *, by: Principal) -> Instance:
        """Read one.

        Raises:
            InvalidInstanceIdError, InstanceNotFoundError, InstanceForbiddenError: As for `accessible`.
        """
        async with self._database.reading() as database:
            return await accessible(database, instance_id, by=by)

    async def create(self, new: NewInstance, *, by: Principal, key: str = "") -> Instance:
        """Make an instance: its row, its ports, its host key and the fact, all or nothing.

        Args:
            new: What is asked for.
            by: Who asks.
            key: Names the request, if it names itself: sent again within a day it makes nothing more.

        Raises:
            InvalidInstanceError: It cannot be so.
            ConfigTooLargeError, InvalidConfigError: Nor can its first config.
            IdempotencyKeyReusedError: Something else was asked for under this key.
            InstanceNotFoundError: What was made under this key is gone.
            NameTakenError: There is one of this name.
            NoFreePortsError: Every pair of ports is taken.
        """
        display_name = display_name_of(new.display_name)
        busy = self._busy_ports(self._ports.first, self._ports.last)
        async with self._database.transaction() as tx:
            creations = CreationRepository(tx)
            if key and (known := await creations.lock(key, account_id=by.account_id)) is not None:
                if known.digest != new.digest:
                    raise IdempotencyKeyReusedError
                return await accessible(tx, str(known.instance_id), by=by)
            defaults = Defaults.of(await SettingRepository(tx).of(by.account_id))
            wanted = _fresh(
                by,
                name=name_of(display_name),
                display_name=display_name,
                container_image=image_of(new.container_image),
                vnc_resolution=resolution_of(new.vnc_resolution),
                disabled_models=models_of(new.disabled_models),
                extra_models=models_of(new.extra_models),
                default_model=new.default_model,
                **msgspec.structs.asdict(resources_with(defaults.resources, new.resources)),
            )
            made = await self._insert(tx, wanted, config_of(new.config), keys.changes(new.keys), busy)
            if key:
                await creations.insert(key, Creation(new.digest, made.id), account_id=by.account_id)
            return made

    async def clone(self, instance_id: str, *, by: Principal) -> Instance:
        """Make another instance like this one: its resources, config, models and keys, and what its home holds.

        Raises:
            InvalidInstanceIdError, InstanceNotFoundError: As for `accessible`.
            NoFreePortsError: Every pair of ports is taken.
        """
        busy = self._busy_ports(self._ports.first, self._ports.last)
        async with self._database.transaction() as tx:
            source = await accessible(tx, instance_id, by=by)
            repository = InstanceRepository(tx)
            display_name = f"{source.display_name} (Copy)"[:100]
            name = name_of(display_name)
            if await repository.is_taken(name):
                name = with_suffix(name, secrets.token_hex(3))
            wanted = _fresh(
                by,
                name=name,
                display_name=display_name,
                container_image=source.container_image,
                vnc_resolution=source.vnc_resolution,
                disabled_models=source.disabled_models,
                extra_models=source.extra_models,
                default_model=source.default_model,
                **msgspec.structs.asdict(source.resources),
            )
            own = await KeyRepository(tx, self._envelope).of_instance(source.id)
            made = await self._insert(tx, wanted, await repository.config(source.id), {**own}, busy)
            await repository.set_source(made.id, source.id)
            return made

    async def remove(self, instance_id: str, *, by: Principal) -> None:
        """Delete an instance: its name is free at once, its ports when the backend has let go of them.

        Raises:
            InvalidInstanceIdError, InstanceNotFoundError: As for `accessible`.
        """
        async with self._database.transaction() as tx:
            await self._remove(tx, await accessible(tx, instance_id, by=by, is_locked=True))

    async def remove_all(self, tx: Transaction, account_id: str) -> None:
        """Delete every instance of an account that is no more, and what it has set."""
        for instance in await InstanceRepository(tx).select(account_id=account_id):
            await self._remove(tx, instance)
        await KeyRepository(tx, self._envelope).forget_account(account_id)
        await SettingRepository(tx).forget(account_id)

    async def start(self, instance_id: str, *, by: Principal) -> Instance:
        """Have an instance run.

        Raises:
            InvalidInstanceIdError, InstanceNotFoundError, InstanceForbiddenError: As for `accessible`.
        """
        async with self._database.transaction() as tx:
            return await self._want(tx, await accessible(tx, instance_id, by=by, is_locked=True), Desired.RUNNING)

    async def stop(self, instance_id: str, *, by: Principal) -> Instance:
        """Have an instance not run; what it keeps stays.

        Raises:
            InvalidInstanceIdError, InstanceNotFoundError, InstanceForbiddenError: As for `accessible`.
        """
        async with self._database.transaction() as tx:
            return await self._want(tx, await accessible(tx, instance_id, by=by, is_locked=True), Desired.STOPPED)

    async def restart(self, instance_id: str, *, by: Principal) -> Instance:
        """Have an instance start anew; one that is stopped starts.

        Raises:
            InvalidInstanceIdError, InstanceNotFoundError, InstanceForbiddenError: As for `accessible`.
        """
        async with self._database.transaction() as tx:
            found = await accessible(tx, instance_id, by=by, is_locked=True)
            return await self._write(tx, found.changed(desired=Desired.RUNNING, restarts=found.restarts + 1))

    async def change(self, instance_id: str, change: InstanceChange, *, by: Principal) -> Instance:
        """Change what an instance is called, may use and is given.

        Raises:
            InvalidInstanceIdError, InstanceNotFoundError, InstanceForbiddenError: As for `accessible`.
            AdminOnlyError: Resources and images are for admins to change.
            InvalidInstanceError, InvalidSettingError: It cannot be so.
        """
        if change.is_admins and not by.is_admin:
            raise AdminOnlyError
        async with self._database.transaction() as tx:
            found = await accessible(tx, instance_id, by=by, is_locked=True)
            wanted = await self._write(tx, change.applied_to(found))
            await KeyRepository(tx, self._envelope).change_instance(found.id, keys.changes(change.keys))
            if wanted.display_name != found.display_name:
                await self._outbox.append(tx, facts.renamed(wanted))
            return (await InstanceRepository(tx).select(ids=[found.id]))[0]

    async def reorder(self, ordered_ids: Sequence[int], *, by: Principal) -> None:
        """Put these instances into this order, in the places that they have among all others.

        Raises:
            InvalidInstanceError: None is named, or one is twice.
            InstanceNotFoundError, InstanceForbiddenError: As for `accessible`.
        """
        if not ordered_ids:
            raise InvalidInstanceError("ordered_ids is required")
        if len(set(ordered_ids)) != len(ordered_ids):
            raise InvalidInstanceError("ordered_ids: each instance once")
        async with self._database.transaction() as tx:
            for instance_id in sorted(ordered_ids):
                await accessible(tx, str(instance_id), by=by, is_locked=True)
            repository = InstanceRepository(tx)
            everything = await repository.select(account_id=by.account_id)
            named = iter(ordered_ids)
            moved = set(ordered_ids)
            order = [next(named) if one.id in moved else one.id for one in everything]
            await repository.set_order([(one, place) for place, one in enumerate(order, start=1)])

    async def forget_creations(self) -> None:
        """Forget the names of requests that nobody sends again."""
        async with self._database.transaction() as tx:
            await CreationRepository(tx).forget(KEYS_LAST)

    async def default_settings(self, by: Principal) -> Defaults:
        """Read the account's defaults, which instances show where they have nothing of their own."""
        async with self._database.reading() as database:
            return Defaults.of(await SettingRepository(database).of(by.account_id))

    async def _insert(
        self, tx: Transaction, wanted: Instance, config: bytes, own: dict[str, str | None], busy: Sequence[int]
    ) -> Instance:
        repository, key_repository = InstanceRepository(tx), KeyRepository(tx, self._envelope)
        with violation_as(instance_name_key=lambda: NameTakenError(wanted.name)):
            instance_id = await repository.insert(wanted, config=config)
        taken = await PortRepository(tx).take(instance_id, first=self._ports.first, last=self._ports.last, busy=busy)
        if taken is None:
            raise NoFreePortsError
        await key_repository.change_instance(instance_id, own)
        await key_repository.add_host_key(instance_id, new_host_key())
        (made,) = await repository.select(ids=[instance_id])
        await self._outbox.append(tx, facts.created(made))
        await repository.signal(WORK)
        return made

    async def _want(self, tx: Transaction, found: Instance, desired: Desired) -> Instance:
        return found if found.desired is desired else await self._write(tx, found.changed(desired=desired))

    async def _write(self, tx: Transaction, wanted: Instance) -> Instance:
        repository = InstanceRepository(tx)
        await repository.replace(wanted)
        await repository.signal(WORK)
        return wanted

    async def _remove(self, tx: Transaction, found: Instance) -> None:
        gone = await self._write(tx, found.changed(desired=Desired.DELETED))
        assignments = AssignmentRepository(tx)
        for assignment in await assignments.users_of(found.id):
            kept = [one for one in assignment.instance_ids if one != found.id]
            version = await assignments.replace(assignment.user_id, kept)
            changed = msgspec.structs.replace(assignment, instance_ids=kept, version=version)
            await self._outbox.append(tx, facts.assigned(changed))
        await self._outbox.append(tx, facts.deleted(gone))


def _fresh(by: Principal, **fields: object) -> Instance:
    """Make the value of a row that is not there yet."""
    zeros = ("id", "version", "restarts", "sort_order", "generation", "observed_generation", "nudge", "observed_nudge")
    nothing = ("ssh_host", "ssh_port", "ssh_user", "pairing_id", "removed_at", "created_at", "updated_at")
    unknown: dict[str, object] = {
        **dict.fromkeys(zeros, 0),
        **dict.fromkeys(nothing),
        "desired": Desired.RUNNING,
        "phase": Phase.STARTING,
        "problem": "",
        "is_paired": False,
    }
    return Instance(account_id=by.account_id, user_id=by.user_id, **unknown | fields)  # type: ignore[arg-type]
