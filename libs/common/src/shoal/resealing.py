"""Sealing stored secrets anew under the key that seals now, so that an older key may go.

Each turn looks for what was sealed under another key, a few values at a time, and puts it back only where nobody has
changed it meanwhile: so it hinders nobody, and a turn that breaks off is gone on with by the next one. Values that do
not open stay as they are, and are told of. Once a turn finds nothing more, it says so.
"""

import re
from collections.abc import Sequence
from datetime import timedelta

import structlog
from msgspec import Struct

from shoal.crypto import Envelope, EnvelopeError
from shoal.database import Database
from shoal.jobs import Job

EVERY = timedelta(hours=1)
_PIECE = 100
_KEY = re.compile(r"\{(\w+)\}")


class SealedColumn(Struct, frozen=True):
    """Where sealed values stand.

    Its SQL is made here and not written where the columns are: it would be the same again for each of them, and a
    name put wrongly would leave an old key in use without a word. Only constants of the code go into it.

    Args:
        table: The table.
        column: The column of sealed values; no two are alike.
        place: Where each one opens, with columns of its row in braces: `toy/note/{id}/body`.
    """

    table: str
    column: str
    place: str

    @property
    def name(self) -> str:
        """Table and column, for the log."""
        return f"{self.table}.{self.column}"

    @property
    def older(self) -> str:
        """SQL that reads at most $3 values and their places after $2, in order, that do not begin with $1."""
        place = _KEY.sub(r"' || \1 || '", self.place)
        return f"""
            select '{place}' as place, {self.column} as sealed
              from {self.table}
             where substring({self.column} for length($1::bytea)) <> $1
               and {self.column} > $2
             order by {self.column}
             limit $3
            """  # noqa: S608 - constants

    @property
    def change(self) -> str:
        """SQL that puts $2 in the place of $1, if that still stands."""
        return f"update {self.table} set {self.column} = $2 where {self.column} = $1"  # noqa: S608 - constants


class _Sealed(Struct, frozen=True):
    place: str
    sealed: bytes


class Resealing:
    """Seals anew what older keys sealed."""

    def __init__(self, database: Database, envelope: Envelope, columns: Sequence[SealedColumn]) -> None:
        self._database = database
        self._envelope = envelope
        self._columns = tuple(columns)
        self._is_told = False

    def job(self) -> Job:
        """Make the job that does this."""
        return Job("seal anew", EVERY, self.seal_anew)

    async def seal_anew(self) -> None:
        """Seal everything under the current key that is not, and tell what came of it.

        Raises:
            DatabaseUnavailableError: The rest waits for the next turn.
        """
        anew, strange = 0, {}
        for column in self._columns:
            sealed, shut = await self._seal_column(column)
            anew += sealed
            if shut:
                strange[column.name] = shut
        if strange:
            structlog.get_logger().error("secrets_do_not_open", columns=strange)
        elif anew or not self._is_told:
            structlog.get_logger().info("sealed_under_one_key", key=self._envelope.current, anew=anew)
        self._is_told = not strange

    async def _seal_column(self, column: SealedColumn) -> tuple[int, int]:
        """Seal one column's values anew; returns how many those were, and how many did not open."""
        anew, strange, after = 0, 0, b""
        while older := await self._older(column, after):
            after = older[-1].sealed
            async with self._database.transaction() as tx:
                for value in older:
                    try:
                        secret = self._envelope.open(value.sealed, place=value.place)
                    except EnvelopeError:
                        strange += 1
                        continue
                    anew += await tx.execute(
                        column.change, value.sealed, self._envelope.seal(secret, place=value.place)
                    )
        return anew, strange

    async def _older(self, column: SealedColumn, after: bytes) -> Sequence[_Sealed]:
        async with self._database.reading() as database:
            return await database.all(_Sealed, column.older, self._envelope.head, after, _PIECE)
