"""Backups, taken while everything runs, and their restoration.

The order loses nothing that was acknowledged before the backup began. Streams come first: an acknowledged sample is on
the stream TELEMETRY, or already merged into the database, which is read later; one that is in both is merged once, for
the database knows which it has seen. A fact that was published between the two is marked so in the database but is not
on the saved stream: restoring marks facts of that time as unpublished again. Their receivers know which they had, by
the same ids.
"""

import contextlib
import fcntl
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import asyncpg
import msgspec
from msgspec import Struct

from shoal.messaging import DEAD, EVENTS, TELEMETRY
from shoal_operations.database import load_database, save_database
from shoal_operations.servers import sign_in
from shoal_operations.snapshots import SnapshotError, load_stream, save_stream

STREAMS: Final = (TELEMETRY, EVENTS, DEAD)
MANIFEST: Final = "manifest.json"
"""Written last: a folder without it is no backup."""
LOCK: Final = "lock"
"""Held by whoever writes into the folder, `save-database.sh` too."""
MARGIN: Final = timedelta(minutes=5)
"""How far the clocks of this machine and of the database may be apart."""


class Manifest(Struct, frozen=True):
    """What a backup is."""

    began_at: datetime
    ended_at: datetime
    messages: dict[str, int]
    """How many each stream held."""


async def take_backup(
    folder: Path, *, nats_url: str, database_url: str | None, programs: Path | None = None
) -> Manifest:
    """Save streams, then the database; services may go on working.

    Args:
        folder: Is made, mode 0700.
        nats_url: NATS as `admin`.
        database_url: PostgreSQL as a role that may read everything; None: somebody else saves it, after this, as
            `database.dump` or elsewhere.
        programs: Where pg_dump is; by default on the path.

    Raises:
        SnapshotError, DumpError: Something could not be saved, or another one is written there: this is no backup.
    """
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)  # noqa: ASYNC240 - once, before anything runs
    with _alone_in(folder):
        about = folder / MANIFEST
        about.unlink(missing_ok=True)  # of an earlier attempt: what follows may fail half-way
        began = datetime.now(UTC)
        client = await sign_in(nats_url)
        try:
            messages = {name: await save_stream(client, name, folder) for name in STREAMS}
        finally:
            await client.close()
        if database_url is not None:
            await save_database(database_url, folder, programs=programs)
        manifest = Manifest(began, datetime.now(UTC), messages)
        about.write_bytes(msgspec.json.encode(manifest))
    return manifest


async def restore_backup(
    folder: Path, *, nats_url: str, database_url: str, programs: Path | None = None, has_database: bool = False
) -> Manifest:
    """Put a backup into servers that hold nothing yet but roles; services must not run.

    Args:
        folder: A backup.
        nats_url: NATS as `admin`; without streams.
        database_url: PostgreSQL as a superuser, migrated once, so that roles are there.
        programs: Where pg_restore is; by default on the path.
        has_database: Somebody has put the database back already; facts are marked and streams follow.

    Raises:
        SnapshotError, DumpError: Something could not be restored.
        FileNotFoundError: The folder holds no complete backup.
    """
    manifest = msgspec.json.decode((folder / MANIFEST).read_bytes(), type=Manifest)
    if not has_database:
        await load_database(database_url, folder, programs=programs)
    await publish_again(database_url, since=manifest.began_at - MARGIN)
    client = await sign_in(nats_url)
    try:
        for name in STREAMS:
            await load_stream(client, name, folder)
    finally:
        await client.close()
    return manifest


async def publish_again(database_url: str, *, since: datetime) -> int:
    """Mark facts as unpublished that may be missing on the stream; returns how many."""
    connection = await asyncpg.connect(database_url, timeout=10)
    try:
        schemas = await connection.fetch("select schemaname from pg_tables where tablename = 'outbox'")
        marked = 0
        for schema in schemas:
            done = await connection.execute(
                f"update {schema['schemaname']}.outbox set published_at = null where published_at >= $1",  # noqa: S608
                since,
            )
            marked += int(done.rpartition(" ")[2])
        return marked
    finally:
        await connection.close()


@contextlib.contextmanager
def _alone_in(folder: Path) -> Iterator[None]:
    """Keep others out of a folder; however this process ends, it keeps them out no longer."""
    lock = folder / LOCK
    with lock.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise SnapshotError(f"another backup is being written into {folder}: wait until it is done") from None
        try:
            yield
        finally:
            lock.unlink(missing_ok=True)
