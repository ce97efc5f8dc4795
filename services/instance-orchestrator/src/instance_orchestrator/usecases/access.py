"""Who may use which instance."""

from instance_orchestrator.domain.instances import Desired, Instance
from instance_orchestrator.domain.names import id_of
from instance_orchestrator.errors import InstanceForbiddenError, InstanceNotFoundError
from instance_orchestrator.repositories.assignments import AssignmentRepository
from instance_orchestrator.repositories.instances import InstanceRepository
from shoal.database import Transaction
from shoal.identity import Principal


async def accessible(tx: Transaction, instance_id: str, *, by: Principal, is_locked: bool = False) -> Instance:
    """Read an instance that the caller may use: an admin every one of the account, others those assigned to them.

    Raises:
        InvalidInstanceIdError: The id is no id.
        InstanceNotFoundError: The account has no such instance.
        InstanceForbiddenError: It is not assigned to the caller.
    """
    repository = InstanceRepository(tx)
    number = id_of(instance_id)
    found = await repository.lock(number) if is_locked else next(iter(await repository.select(ids=[number])), None)
    if found is None or found.desired is Desired.DELETED or found.account_id != by.account_id:
        raise InstanceNotFoundError
    if not by.is_admin and not await AssignmentRepository(tx).is_assigned(by.user_id, found.id):
        raise InstanceForbiddenError
    return found
