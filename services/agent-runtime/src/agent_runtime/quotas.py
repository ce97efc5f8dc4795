"""How many things of a kind an account may have.

Whoever adds one holds its account's quota, writes, counts, and refuses what is too many: the refusal takes back what
was written. Without holding it two could count before either was there, and both would fit.
"""

from shoal.database import Transaction


async def hold(tx: Transaction, account_id: str, of: str) -> None:
    """Let nobody else add things of a kind to an account until the commit."""
    await tx.value("select pg_advisory_xact_lock(hashtextextended($1 || ' ' || $2, 5))", of, account_id)
