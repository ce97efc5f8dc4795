"""Rows of `instance` and `assignment`."""

from shoal.database import Transaction
from ssh_manager.ports import Instance, Status


class InstanceRepository:
    """Instances, each fact taken only if it is newer."""

    def __init__(self, tx: Transaction) -> None:
        self._tx = tx

    async def create(self, instance_id: int, *, account_id: str, name: str, display_name: str) -> bool:
        """Take an instance in, or its names if only later facts of it came so far; whether it was unknown."""
        return bool(
            await self._tx.value(
                """
                insert into instance as kept (id, account_id, name, display_name)
                values ($1, $2, $3, $4)
                    on conflict (id) do update
                   set name = excluded.name,
                       display_name = case when kept.name_version = 0 then excluded.display_name
                                           else kept.display_name end
                returning version = 0 and name_version = 0
                """,
                *(instance_id, account_id, name, display_name),
            )
        )

    async def rename(self, instance_id: int, *, account_id: str, display_name: str, version: int) -> None:
        """Take what people call an instance."""
        await self._tx.execute(
            """
            insert into instance as kept (id, account_id, display_name, name_version)
            values ($1, $2, $3, $4)
                on conflict (id) do update
               set display_name = excluded.display_name, name_version = excluded.name_version
             where kept.name_version < excluded.name_version
            """,
            *(instance_id, account_id, display_name, version),
        )

    async def put_running(self, instance: Instance) -> bool:
        """Take how a running instance is reached; whether that is news."""
        return bool(
            await self._tx.execute(
                """
                insert into instance as kept
                       (id, account_id, name, display_name, status, ssh_host, ssh_port, ssh_user, host_public_key,
                        version)
                values ($1, $2, $3, $4, 'running', $5, $6, $7, $8, $9)
                    on conflict (id) do update
                   set name = excluded.name, status = excluded.status, ssh_host = excluded.ssh_host,
                       ssh_port = excluded.ssh_port, ssh_user = excluded.ssh_user,
                       host_public_key = excluded.host_public_key, version = excluded.version
                 where kept.version < excluded.version and kept.status <> 'deleted'
                """,
                *(instance.id, instance.account_id, instance.name, instance.display_name),
                *(instance.ssh_host, instance.ssh_port, instance.ssh_user, instance.host_public_key, instance.version),
            )
        )

    async def put_status(self, instance_id: int, status: Status, *, account_id: str, version: int) -> bool:
        """Take that an instance does not run; whether that is news."""
        return bool(
            await self._tx.execute(
                """
                insert into instance as kept (id, account_id, status, version)
                values ($1, $2, $3, $4)
                    on conflict (id) do update
                   set status = excluded.status, version = excluded.version
                 where kept.version < excluded.version and kept.status <> 'deleted'
                """,
                *(instance_id, account_id, status, version),
            )
        )

    async def find(self, instance_id: int) -> Instance | None:
        """Read one that is not deleted."""
        return next(iter(await self.select(ids=[instance_id])), None)

    async def select(
        self,
        *,
        ids: list[int] | None = None,
        account_id: str | None = None,
        assigned_to: str | None = None,
        status: Status | None = None,
    ) -> list[Instance]:
        """Read those that are not deleted and fit everything that is given, by id."""
        return await self._tx.all(
            Instance,
            """
            select id, account_id, name, display_name, status, ssh_host, ssh_port, ssh_user, host_public_key, version
              from instance
             where status <> 'deleted'
               and ($1::integer[] is null or id = any($1))
               and ($2::text is null or account_id = $2)
               and ($3::text is null
                    or id = any(select unnest(a.instance_ids) from assignment as a where a.user_id = $3))
               and ($4::text is null or status = $4)
             order by id
            """,
            *(ids, account_id, assigned_to, status),
        )


class AssignmentRepository:
    """Which instances users may use."""

    def __init__(self, tx: Transaction) -> None:
        self._tx = tx

    async def put(self, user_id: str, instance_ids: list[int], *, account_id: str, version: int) -> None:
        """Take a user's assignment if it is newer."""
        await self._tx.execute(
            """
            insert into assignment as kept (user_id, account_id, instance_ids, version)
            values ($1, $2, $3, $4)
                on conflict (user_id) do update
               set instance_ids = excluded.instance_ids, version = excluded.version
             where kept.version < excluded.version
            """,
            *(user_id, account_id, instance_ids, version),
        )

    async def is_assigned(self, user_id: str, instance_id: int) -> bool:
        """Tell whether a user may use an instance."""
        return bool(
            await self._tx.value(
                "select true from assignment where user_id = $1 and $2 = any(instance_ids)", user_id, instance_id
            )
        )
