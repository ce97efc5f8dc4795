"""SQL of accounts and users, and nothing else."""

from gateway.accounts.domain import Account, NewUser, User
from gateway.accounts.errors import (
    AccountNotFoundError,
    EmailTakenError,
    SetupDoneError,
    UsernameTakenError,
    UserNotFoundError,
)
from shoal.database import Transaction, violation_as
from shoal.identity import Role


class AccountRepository:
    """Rows of `account`, deleted ones included as tombstones."""

    def __init__(self, tx: Transaction) -> None:
        self._tx = tx

    async def insert(self, account_id: str, *, name: str, plan: str, is_first: bool) -> Account:
        """Add an account.

        Raises:
            SetupDoneError: It would be a second first one.
        """
        with violation_as(account_is_first_key=SetupDoneError):
            return await self._one(
                """
                insert into account (id, name, plan, is_first)
                values ($1, $2, $3, $4)
                returning id, name, plan, is_first, version, created_at, deleted_at
                """,
                *(account_id, name, plan, is_first),
            )

    async def has_any(self) -> bool:
        """Tell whether Shoal was ever set up."""
        return bool(await self._tx.value("select exists (select from account)"))

    async def get(self, account_id: str) -> Account:
        """Read an account.

        Raises:
            AccountNotFoundError: There is none.
        """
        return await self._one(
            """
            select id, name, plan, is_first, version, created_at, deleted_at
              from account
             where id = $1
               and deleted_at is null
            """,
            account_id,
        )

    async def lock(self, account_id: str) -> Account:
        """Read an account and hold its row: nobody else changes its users meanwhile.

        Raises:
            AccountNotFoundError: There is none.
        """
        return await self._one(
            """
            select id, name, plan, is_first, version, created_at, deleted_at
              from account
             where id = $1
               and deleted_at is null
               for update
            """,
            account_id,
        )

    async def list_all(self) -> list[Account]:
        """List accounts, oldest first."""
        return await self._tx.all(
            Account,
            """
            select id, name, plan, is_first, version, created_at, deleted_at
              from account
             where deleted_at is null
             order by created_at, id
            """,
        )

    async def delete(self, account_id: str) -> Account:
        """Make an account's row its tombstone."""
        return await self._one(
            """
            update account
               set deleted_at = now(), version = version + 1
             where id = $1
            returning id, name, plan, is_first, version, created_at, deleted_at
            """,
            account_id,
        )

    async def export(self, after: str, limit: int) -> list[Account]:
        """Read accounts in the order of ids, tombstones included."""
        return await self._tx.all(
            Account,
            """
            select id, name, plan, is_first, version, created_at, deleted_at
              from account
             where id > $1
             order by id
             limit $2
            """,
            *(after, limit),
        )

    async def _one(self, sql: str, *arguments: object) -> Account:
        found = await self._tx.find(Account, sql, *arguments)
        if found is None:
            raise AccountNotFoundError
        return found


class UserRepository:
    """Rows of `person`, deleted ones included as tombstones without names."""

    def __init__(self, tx: Transaction) -> None:
        self._tx = tx

    async def insert(self, user_id: str, *, account_id: str, new: NewUser, password_hash: str) -> User:
        """Add a user.

        Raises:
            UsernameTakenError: Somebody in the installation has the name, in whatever case.
            EmailTakenError: Somebody in the installation has the address.
        """
        with violation_as(person_username_key=UsernameTakenError, person_email_key=EmailTakenError):
            return await self._one(
                """
                insert into person (id, account_id, username, email, role, password_hash)
                values ($1, $2, $3, $4, $5, $6)
                returning id, account_id, username, email, role, version, created_at, deleted_at
                """,
                *(user_id, account_id, new.username, new.address, new.role, password_hash),
            )

    async def get(self, user_id: str, *, account_id: str) -> User:
        """Read one of an account's users.

        Raises:
            UserNotFoundError: The account has none of this id.
        """
        return await self._one(
            """
            select id, account_id, username, email, role, version, created_at, deleted_at
              from person
             where id = $1
               and account_id = $2
               and deleted_at is null
            """,
            *(user_id, account_id),
        )

    async def find_by_username(self, username: str) -> User | None:
        """Find a user by name, in whatever case."""
        return await self._tx.find(
            User,
            """
            select id, account_id, username, email, role, version, created_at, deleted_at
              from person
             where lower(username) = lower($1)
               and deleted_at is null
            """,
            username,
        )

    async def find_password_hash(self, user_id: str) -> str | None:
        """Read the hash of a user's password."""
        found: str | None = await self._tx.value(
            "select password_hash from person where id = $1 and deleted_at is null", user_id
        )
        return found

    async def list_of(self, account_id: str) -> list[User]:
        """List an account's users, oldest first."""
        return await self._tx.all(
            User,
            """
            select id, account_id, username, email, role, version, created_at, deleted_at
              from person
             where account_id = $1
               and deleted_at is null
             order by created_at, id
            """,
            account_id,
        )

    async def count_other_admins(self, user_id: str, *, account_id: str) -> int:
        """Count an account's admins but for one user."""
        return int(
            await self._tx.value(
                """
                select count(*)
                  from person
                 where account_id = $1
                   and id <> $2
                   and role = 'admin'
                   and deleted_at is null
                """,
                *(account_id, user_id),
            )
        )

    async def set_role(self, user_id: str, role: Role) -> User:
        """Give a user another role."""
        return await self._one(
            """
            update person
               set role = $2, version = version + 1
             where id = $1
            returning id, account_id, username, email, role, version, created_at, deleted_at
            """,
            *(user_id, role),
        )

    async def set_email(self, user_id: str, email: str) -> User:
        """Give a user another address.

        Raises:
            EmailTakenError: Somebody in the installation has the address.
        """
        with violation_as(person_email_key=EmailTakenError):
            return await self._one(
                """
                update person
                   set email = $2, version = version + 1
                 where id = $1
                returning id, account_id, username, email, role, version, created_at, deleted_at
                """,
                *(user_id, email),
            )

    async def set_password(self, user_id: str, password_hash: str) -> None:
        """Give a user another password."""
        await self._tx.execute(
            "update person set password_hash = $2 where id = $1 and deleted_at is null", user_id, password_hash
        )

    async def delete(self, user_id: str) -> User:
        """Make a user's row its tombstone: names, address and password are forgotten."""
        return await self._one(
            """
            update person
               set username = '', email = '', password_hash = '', deleted_at = now(), version = version + 1
             where id = $1
            returning id, account_id, username, email, role, version, created_at, deleted_at
            """,
            user_id,
        )

    async def export(self, after: str, limit: int) -> list[User]:
        """Read users in the order of ids, tombstones included."""
        return await self._tx.all(
            User,
            """
            select id, account_id, username, email, role, version, created_at, deleted_at
              from person
             where id > $1
             order by id
             limit $2
            """,
            *(after, limit),
        )

    async def _one(self, sql: str, *arguments: object) -> User:
        found = await self._tx.find(User, sql, *arguments)
        if found is None:
            raise UserNotFoundError
        return found
