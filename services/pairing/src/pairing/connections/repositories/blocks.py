"""Blocks."""

from uuid import UUID, uuid4

from pairing.connections.domain.connections import Block, ListedBlock
from shoal.database import Transaction


class BlockRepository:
    """Rows of `block`: an account may block another once."""

    def __init__(self, tx: Transaction) -> None:
        self._tx = tx

    async def insert(self, *, account_id: str, blocked: str, connection_id: UUID) -> Block | None:
        """Add a block; None when it stands already."""
        return await self._tx.find(
            Block,
            """
            insert into block (id, account_id, blocked_account_id, connection_id)
            values ($1, $2, $3, $4)
                on conflict on constraint block_accounts_key do nothing
            returning id, account_id, blocked_account_id, connection_id, blocked_at
            """,
            *(uuid4(), account_id, blocked, connection_id),
        )

    async def is_between(self, one: str, other: str) -> bool:
        """Tell whether one of two accounts has blocked the other."""
        return bool(
            await self._tx.value(
                """
                select true
                  from block
                 where (account_id = $1 and blocked_account_id = $2)
                    or (account_id = $2 and blocked_account_id = $1)
                 limit 1
                """,
                *(one, other),
            )
        )

    async def list_of(self, account_id: str) -> list[ListedBlock]:
        """List whom an account has blocked, newest first."""
        return await self._tx.all(
            ListedBlock,
            """
            select b.id, b.account_id, b.blocked_account_id, b.connection_id, b.blocked_at, account.name,
                   contact.email
              from block as b
              left join account on account.id = b.blocked_account_id
              left join lateral (select person.email
                                   from person
                                  where person.account_id = b.blocked_account_id
                                    and person.role = 'admin'
                                    and not person.is_deleted
                                  order by person.heard
                                  limit 1) as contact on true
             where b.account_id = $1
             order by b.blocked_at desc, b.id
            """,
            account_id,
        )

    async def delete(self, block_id: UUID, *, account_id: str) -> Block | None:
        """Lift one of an account's blocks; None when the account has none of this id."""
        return await self._tx.find(
            Block,
            """
            delete from block
             where id = $1
               and account_id = $2
            returning id, account_id, blocked_account_id, connection_id, blocked_at
            """,
            *(block_id, account_id),
        )

    async def delete_all(self, account_id: str) -> None:
        """Forget the blocks of and against an account that is no more."""
        await self._tx.execute("delete from block where account_id = $1 or blocked_account_id = $1", account_id)
