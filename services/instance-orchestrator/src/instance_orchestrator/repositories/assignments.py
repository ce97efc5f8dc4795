"""Rows of `account_user` and `assignment`."""

from collections.abc import Sequence

from msgspec import Struct

from shoal.database import Transaction


class Assignment(Struct, frozen=True):
    """Which instances a user may use."""

    user_id: str
    account_id: str
    instance_ids: list[int]
    version: int


class User(Struct, frozen=True):
    """A user as the gateway told of them."""

    user_id: str
    account_id: str
    version: int


class AssignmentRepository:
    """Users as the gateway tells of them, and what each may use."""

    def __init__(self, tx: Transaction) -> None:
        self._tx = tx

    async def put_user(self, user_id: str, account_id: str, version: int, *, is_deleted: bool) -> bool:
        """Take a user if this is newer than what is here; whether it was."""
        return bool(
            await self._tx.execute(
                """
                insert into account_user as kept (user_id, account_id, version, is_deleted)
                values ($1, $2, $3, $4)
                    on conflict (user_id) do update
                   set account_id = excluded.account_id, version = excluded.version, is_deleted = excluded.is_deleted
                 where kept.version < excluded.version
                """,
                *(user_id, account_id, version, is_deleted),
            )
        )

    async def list_users(self) -> list[str]:
        """List the users who are not deleted."""
        return await self._tx.all(str, "select user_id from account_user where not is_deleted")

    async def find_user(self, user_id: str) -> User | None:
        """Read a user, deleted or not."""
        return await self._tx.find(
            User, "select user_id, account_id, version from account_user where user_id = $1", user_id
        )

    async def lock(self, user_id: str, *, account_id: str) -> bool:
        """Hold a user's row; whether the account has such a user."""
        return bool(
            await self._tx.value(
                "select true from account_user where user_id = $1 and account_id = $2 and not is_deleted for update",
                *(user_id, account_id),
            )
        )

    async def find(self, user_id: str, *, account_id: str) -> Assignment | None:
        """Read a user's assignment; None when the account has no such user."""
        return await self._tx.find(
            Assignment,
            """
            select u.user_id, u.account_id, u.assignment_version as version,
                   array(select a.instance_id from assignment as a where a.user_id = u.user_id
                          order by a.instance_id) as instance_ids
              from account_user as u
             where u.user_id = $1 and u.account_id = $2 and not u.is_deleted
            """,
            *(user_id, account_id),
        )

    async def is_assigned(self, user_id: str, instance_id: int) -> bool:
        """Tell whether a user may use an instance."""
        return bool(
            await self._tx.value(
                "select true from assignment where user_id = $1 and instance_id = $2", user_id, instance_id
            )
        )

    async def replace(self, user_id: str, instance_ids: Sequence[int]) -> int:
        """Set a user's whole assignment; returns its new version."""
        await self._tx.execute("delete from assignment where user_id = $1", user_id)
        await self._tx.execute_many(
            "insert into assignment (user_id, instance_id) values ($1, $2)",
            [(user_id, instance_id) for instance_id in sorted(set(instance_ids))],
        )
        return int(
            await self._tx.value(
                """
                update account_user
                   set assignment_version = assignment_version + 1
                 where user_id = $1
                returning assignment_version
                """,
                user_id,
            )
        )

    async def users_of(self, instance_id: int) -> list[Assignment]:
        """List the users who may use an instance, holding their rows."""
        return await self._tx.all(
            Assignment,
            """
            select u.user_id, u.account_id, u.assignment_version as version,
                   array(select a.instance_id from assignment as a where a.user_id = u.user_id
                          order by a.instance_id) as instance_ids
              from account_user as u
             where exists (select from assignment as a where a.user_id = u.user_id and a.instance_id = $1)
             order by u.user_id
               for update
            """,
            instance_id,
        )

    async def page(self, after: str, limit: int) -> list[Assignment]:
        """Read assignments that were ever made, in the order of users."""
        return await self._tx.all(
            Assignment,
            """
            select u.user_id, u.account_id, u.assignment_version as version,
                   array(select a.instance_id from assignment as a where a.user_id = u.user_id
                          order by a.instance_id) as instance_ids
              from account_user as u
             where u.user_id > $1 and u.assignment_version > 0
             order by u.user_id
             limit $2
            """,
            *(after, limit),
        )
