"""Rows of `setting`."""

from collections.abc import Mapping
from typing import Any

from shoal.database import Transaction


class SettingRepository:
    """What accounts have set; what they have not has its default."""

    def __init__(self, tx: Transaction) -> None:
        self._tx = tx

    async def of(self, account_id: str) -> dict[str, Any]:
        """Read an account's settings by name."""
        rows = await self._tx.connection.fetch("select name, value from setting where account_id = $1", account_id)
        return {row["name"]: row["value"] for row in rows}

    async def put(self, account_id: str, settings: Mapping[str, Any]) -> None:
        """Set what is given."""
        await self._tx.execute_many(
            """
            insert into setting (account_id, name, value) values ($1, $2, $3)
                on conflict (account_id, name) do update set value = excluded.value
            """,
            [(account_id, name, value) for name, value in settings.items()],
        )

    async def forget(self, account_id: str) -> None:
        """Delete an account's settings."""
        await self._tx.execute("delete from setting where account_id = $1", account_id)
