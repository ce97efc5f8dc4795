"""What is done when an account is no more."""

from typing import Protocol

from shoal.database import Transaction


class Erasure(Protocol):
    """Deletes all that one subject holds of an account that is no more, in the transaction that takes the news in."""

    async def __call__(self, tx: Transaction, account_id: str) -> None:
        """Erase; nothing happens where there is nothing."""
        ...
