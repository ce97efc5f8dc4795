"""Copies of the gateway's accounts and users, and the locks by account and by address."""

from collections.abc import Iterable

from pairing.connections.domain.people import AccountCard, Person
from shoal.database import Transaction


class PeopleRepository:
    """Rows of `account` and `person`.

    A row is taken only if its version is newer than the one here; deleted rows stay as tombstones. An account that was
    never heard of is as good as any: its name is then not known here yet.
    """

    def __init__(self, tx: Transaction) -> None:
        self._tx = tx

    async def lock_address(self, email: str) -> None:
        """Keep others from inviting, or becoming, whoever has an address until the transaction ends."""
        await self._tx.execute("select pg_advisory_xact_lock(hashtextextended('address ' || lower($1), 0))", email)

    async def lock_accounts(self, *account_ids: str | None) -> None:
        """Keep others from changing what these accounts have, and how they stand to each other."""
        for account_id in sorted({account_id for account_id in account_ids if account_id}):
            await self._tx.execute("select pg_advisory_xact_lock(hashtextextended('account ' || $1, 0))", account_id)

    async def put_account(self, account_id: str, *, name: str, plan: str, version: int) -> None:
        """Take an account."""
        await self._tx.execute(
            """
            insert into account (id, name, plan, version)
            values ($1, $2, $3, $4)
                on conflict (id) do update
               set name = excluded.name, plan = excluded.plan, version = excluded.version
             where account.version < excluded.version
            """,
            *(account_id, name, plan, version),
        )

    async def delete_account(self, account_id: str, *, version: int) -> None:
        """Make an account a tombstone, also one never heard of."""
        await self._tx.execute(
            """
            insert into account (id, name, plan, version, is_deleted)
            values ($1, '', '', $2, true)
                on conflict (id) do update
               set name = '', version = excluded.version, is_deleted = true
             where account.version < excluded.version
            """,
            *(account_id, version),
        )

    async def put_person(self, person: Person) -> bool:
        """Take a user; tells whether that was news."""
        return bool(
            await self._tx.execute(
                """
                insert into person (id, account_id, username, email, role, version)
                values ($1, $2, $3, $4, $5, $6)
                    on conflict (id) do update
                   set username = excluded.username, email = excluded.email, role = excluded.role,
                       version = excluded.version
                 where person.version < excluded.version
                """,
                *(person.id, person.account_id, person.username, person.email, person.role, person.version),
            )
        )

    async def delete_person(self, person_id: str, *, account_id: str, version: int) -> None:
        """Make a user a tombstone, also one never heard of."""
        await self._tx.execute(
            """
            insert into person (id, account_id, username, email, role, version, is_deleted)
            values ($1, $2, '', '', '', $3, true)
                on conflict (id) do update
               set username = '', email = '', role = '', version = excluded.version, is_deleted = true
             where person.version < excluded.version
            """,
            *(person_id, account_id, version),
        )

    async def list_known(self) -> list[tuple[str, str]]:
        """List what is not deleted: `account` or `user`, and an id."""
        accounts = await self._tx.all(str, "select id from account where not is_deleted")
        people = await self._tx.all(str, "select id from person where not is_deleted")
        return [*(("account", account_id) for account_id in accounts), *(("user", user_id) for user_id in people)]

    async def find_version(self, account_id: str) -> int:
        """Tell which version of an account is here."""
        return await self._tx.value("select version from account where id = $1", account_id) or 0

    async def find_person(self, person_id: str) -> Person | None:
        """Read a user, deleted or not."""
        return await self._tx.find(
            Person, "select id, account_id, username, email, role, version from person where id = $1", person_id
        )

    async def find_account_of(self, email: str) -> str | None:
        """Find the account of the user who has an address."""
        account_id: str | None = await self._tx.value(
            """
            select account_id
              from person
             where lower(email) = lower($1)
               and not is_deleted
             order by heard desc
             limit 1
            """,
            email,
        )
        return account_id

    async def find_plan(self, account_id: str) -> str:
        """Tell an account's plan; empty when none is told."""
        return await self._tx.value("select plan from account where id = $1", account_id) or ""

    async def cards(self, account_ids: Iterable[str]) -> dict[str, AccountCard]:
        """Read accounts with the address of the first admin of each."""
        cards = await self._tx.all(
            AccountCard,
            """
            select wanted.id, coalesce(account.name, '') as name, contact.email, coalesce(account.plan, '') as plan
              from unnest($1::text[]) as wanted (id)
              left join account on account.id = wanted.id
              left join lateral (select person.email
                                   from person
                                  where person.account_id = wanted.id
                                    and person.role = 'admin'
                                    and not person.is_deleted
                                  order by person.heard
                                  limit 1) as contact on true
            """,
            sorted(set(account_ids)),
        )
        return {card.id: card for card in cards}

    async def is_of(self, email: str, account_id: str) -> bool:
        """Tell whether a user of an account has an address."""
        return bool(
            await self._tx.value(
                """
                select true
                  from person
                 where account_id = $2
                   and lower(email) = lower($1)
                   and not is_deleted
                """,
                *(email, account_id),
            )
        )
