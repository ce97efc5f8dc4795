"""The config of an instance: its clawdbot.json, kept byte for byte."""

from instance_orchestrator.domain.instances import Desired, check_config
from instance_orchestrator.repositories.instances import InstanceRepository
from instance_orchestrator.usecases.access import accessible
from instance_orchestrator.usecases.instances import WORK
from shoal.database import Database
from shoal.identity import Principal


class Configurations:
    """Read and replace configs."""

    def __init__(self, *, database: Database) -> None:
        self._database = database

    async def get(self, instance_id: str, *, by: Principal) -> str:
        """Read a config as it was written; placeholders such as `${ANTHROPIC_API_KEY}` stay what they are.

        Raises:
            InvalidInstanceIdError, InstanceNotFoundError, InstanceForbiddenError: As for `accessible`.
        """
        async with self._database.reading() as database:
            found = await accessible(database, instance_id, by=by)
            return (await InstanceRepository(database).config(found.id)).decode()

    async def replace(self, instance_id: str, text: str, *, by: Principal) -> bool:
        """Write a config and have the instance start anew with it; whether it will, which it does not when stopped.

        Raises:
            InvalidInstanceIdError, InstanceNotFoundError, InstanceForbiddenError: As for `accessible`.
            InvalidConfigError: It is not JSON.
            ConfigTooLargeError: It is too large.
        """
        async with self._database.transaction() as tx:
            found = await accessible(tx, instance_id, by=by, is_locked=True)
            config = check_config(text)
            repository = InstanceRepository(tx)
            await repository.set_config(found.id, config)
            await repository.replace(found.changed(restarts=found.restarts + 1))
            await repository.signal(WORK)
        return found.desired is Desired.RUNNING
