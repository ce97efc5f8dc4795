"""Who may use which instances."""

from collections.abc import Sequence

from instance_orchestrator.domain.names import id_of
from instance_orchestrator.errors import InstanceNotFoundError, UserNotFoundError
from instance_orchestrator.repositories.assignments import Assignment, AssignmentRepository
from instance_orchestrator.repositories.instances import InstanceRepository
from instance_orchestrator.usecases import facts
from shoal.database import Database, Transaction
from shoal.outbox import Outbox


class Assignments:
    """Read and replace assignments."""

    def __init__(self, *, database: Database, outbox: Outbox) -> None:
        self._database = database
        self._outbox = outbox

    async def get(self, user_id: str, *, account_id: str) -> list[int]:
        """List what a user may use.

        Raises:
            UserNotFoundError: The account has no such user.
        """
        async with self._database.reading() as database:
            found = await AssignmentRepository(database).find(user_id, account_id=account_id)
        if found is None:
            raise UserNotFoundError
        return found.instance_ids

    async def replace(self, user_id: str, instance_ids: Sequence[int], *, account_id: str) -> None:
        """Say anew what a user may use.

        Raises:
            UserNotFoundError: The account has no such user.
            InstanceNotFoundError: The account has no such instance.
        """
        wanted = sorted({id_of(str(instance_id)) for instance_id in instance_ids})
        async with self._database.transaction() as tx:
            repository, instances = AssignmentRepository(tx), InstanceRepository(tx)
            await instances.hold(wanted, account_id=account_id)  # before the user, as who deletes one does
            if not await repository.lock(user_id, account_id=account_id):
                raise UserNotFoundError
            found = await instances.select(account_id=account_id, ids=wanted)
            if len(found) != len(wanted):
                raise InstanceNotFoundError
            version = await repository.replace(user_id, wanted)
            await self._outbox.append(tx, facts.assigned(Assignment(user_id, account_id, wanted, version)))

    async def know_user(self, tx: Transaction, user_id: str, account_id: str, version: int) -> None:
        """Take in what the gateway tells of a user."""
        await AssignmentRepository(tx).put_user(user_id, account_id, version, is_deleted=False)

    async def forget_user(self, tx: Transaction, user_id: str, account_id: str, version: int) -> None:
        """Withdraw everything from a user who is no more."""
        repository = AssignmentRepository(tx)
        found = await repository.find(user_id, account_id=account_id)
        await repository.put_user(user_id, account_id, version, is_deleted=True)
        if found is not None and found.instance_ids:
            gone = Assignment(user_id, account_id, [], await repository.replace(user_id, []))
            await self._outbox.append(tx, facts.assigned(gone))

    async def known_users(self, tx: Transaction) -> list[str]:
        """List the users who can be assigned instances."""
        return await AssignmentRepository(tx).list_users()

    async def vanished_user(self, tx: Transaction, user_id: str) -> None:
        """Withdraw everything from a user whom the gateway does not know."""
        user = await AssignmentRepository(tx).find_user(user_id)
        if user is not None:
            await self.forget_user(tx, user_id, user.account_id, user.version + 1)
