"""The keys by which ssh-manager signs in."""

from instance_orchestrator.domain.host_keys import check_public_key
from instance_orchestrator.domain.instances import Desired
from instance_orchestrator.domain.names import id_of
from instance_orchestrator.domain.plans import AuthorizedKey
from instance_orchestrator.repositories.instances import InstanceRepository
from instance_orchestrator.repositories.keys import SshKeyRepository
from instance_orchestrator.usecases.instances import WORK
from shoal.database import Transaction


class SshKeys:
    """Take in keys; the reconciler gives them to instances."""

    async def take(self, tx: Transaction, instance_id: str, key: AuthorizedKey) -> None:
        """Take in a key if it is newer than what is known, and have it brought to its instance.

        Raises:
            InvalidPublicKeyError: It is more than one Ed25519 key on one line.
        """
        number, repository = id_of(instance_id), InstanceRepository(tx)
        check_public_key(key.line)
        found = await repository.lock(number)
        if found is None or found.desired is Desired.DELETED:
            return
        if await SshKeyRepository(tx).put(number, key):
            await repository.nudge(number)
            await repository.signal(WORK)
