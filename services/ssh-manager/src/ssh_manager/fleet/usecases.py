"""Which instances there are, and who may use them."""

from collections.abc import Awaitable, Callable, Sequence

from shoal.database import Database, Transaction
from shoal.identity import Principal
from ssh_manager.errors import InstanceForbiddenError, InstanceNotFoundError
from ssh_manager.fleet.domain import id_of, status_of
from ssh_manager.fleet.repositories import AssignmentRepository, InstanceRepository
from ssh_manager.ports import Instance, Status

OnChange = Callable[[int], None]
OnCreated = Callable[[Transaction, Instance], Awaitable[None]]
OnDeleted = Callable[[Transaction, int], Awaitable[None]]


class Fleet:
    """Keep the copy, and tell others of this process what changes."""

    def __init__(self, *, database: Database) -> None:
        self._database = database
        self._on_change: list[OnChange] = []
        self._on_created: list[OnCreated] = []
        self._on_deleted: list[OnDeleted] = []

    def on_change(self, callback: OnChange) -> None:
        """Ask to be told which instance changed, once that is stored."""
        self._on_change.append(callback)

    def on_created(self, callback: OnCreated) -> None:
        """Ask to be told of each instance in the transaction that takes it in; again, perhaps, for a known one."""
        self._on_created.append(callback)

    def on_deleted(self, callback: OnDeleted) -> None:
        """Ask to be told in the transaction that takes in that an instance is gone."""
        self._on_deleted.append(callback)

    async def running(self) -> list[Instance]:
        """List the instances that can be connected to."""
        async with self._database.reading() as database:
            return await InstanceRepository(database).select(status=Status.RUNNING)

    async def find(self, instance_id: int) -> Instance | None:
        """Read one that is not deleted."""
        async with self._database.reading() as database:
            return await InstanceRepository(database).find(instance_id)

    async def created(self, tx: Transaction, instance_id: str, account_id: str, name: str, display_name: str) -> None:
        """Take in an instance."""
        repository, number = InstanceRepository(tx), id_of(instance_id)
        await repository.create(number, account_id=account_id, name=name, display_name=display_name)
        if (instance := await repository.find(number)) is not None:
            for tell in self._on_created:
                await tell(tx, instance)

    async def renamed(
        self, tx: Transaction, instance_id: str, account_id: str, display_name: str, version: int
    ) -> None:
        """Take in what people call an instance."""
        await InstanceRepository(tx).rename(
            id_of(instance_id), account_id=account_id, display_name=display_name, version=version
        )

    async def is_running(self, tx: Transaction, instance: Instance) -> None:
        """Take in how a running instance is reached."""
        if await InstanceRepository(tx).put_running(instance):
            self._tell(tx, instance.id)
            for tell in self._on_created:  # the fact that made it may come later
                await tell(tx, instance)

    async def stopped(self, tx: Transaction, instance_id: str, account_id: str, reason: str, version: int) -> None:
        """Take in that an instance does not run."""
        number = id_of(instance_id)
        if await InstanceRepository(tx).put_status(number, status_of(reason), account_id=account_id, version=version):
            self._tell(tx, number)

    async def deleted(self, tx: Transaction, instance_id: str, account_id: str, version: int) -> None:
        """Take in that an instance is gone."""
        number = id_of(instance_id)
        await InstanceRepository(tx).put_status(number, Status.DELETED, account_id=account_id, version=version)
        self._tell(tx, number)
        for tell in self._on_deleted:
            await tell(tx, number)

    async def assigned(
        self, tx: Transaction, user_id: str, account_id: str, instance_ids: Sequence[str], version: int
    ) -> None:
        """Take in which instances a user may use."""
        numbers = sorted(id_of(instance_id) for instance_id in instance_ids)
        await AssignmentRepository(tx).put(user_id, numbers, account_id=account_id, version=version)

    def _tell(self, tx: Transaction, instance_id: int) -> None:
        async def tell() -> None:
            for callback in self._on_change:
                callback(instance_id)

        tx.after_commit(tell)


class Access:
    """Who may use which instance."""

    def __init__(self, *, database: Database) -> None:
        self._database = database

    async def instance(self, principal: Principal, instance_id: str) -> Instance:
        """Read an instance that the caller may use: an admin every one of the account, others those assigned to them.

        Raises:
            InvalidInstanceIdError: The id is no id.
            InstanceNotFoundError: The account has no such instance.
            InstanceForbiddenError: It is not assigned to the caller.
        """
        number = id_of(instance_id)
        async with self._database.reading() as database:
            found = await InstanceRepository(database).find(number)
            if found is None or found.account_id != principal.account_id:
                raise InstanceNotFoundError
            assignments = AssignmentRepository(database)
            may_use = principal.is_admin or await assignments.is_assigned(principal.user_id, number)
        if not may_use:
            raise InstanceForbiddenError
        return found

    async def instances(self, principal: Principal) -> list[Instance]:
        """List the instances that the caller may use, by id."""
        async with self._database.reading() as database:
            return await InstanceRepository(database).select(
                account_id=principal.account_id, assigned_to=None if principal.is_admin else principal.user_id
            )
