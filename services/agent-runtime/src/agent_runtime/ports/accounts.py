"""What is done when an account is no more."""

from typing import Protocol

from shoal.database import Transaction


class AccountEnd(Protocol):
    """What a subject does when an account is no more: it erases what it holds of it."""

    async def __call__(self, tx: Transaction, account_id: str) -> None:
        """Erase."""
        ...
