"""Backups, taken while everything runs, and their restoration.

The order loses nothing that was acknowledged before the backup began. Streams come first: an acknowledged sample is on
the stream TELEMETRY, or already merged into the database, which is read later; one that is in both is merged once, for
the database knows which it has seen. A fact that was published between the two is marked so in the database but is not
on the saved stream: restoring marks facts of that time as unpublished again. Their receivers know which they had, by
the same ids.
"""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import msgspec
from msgspec import Struct

from shoal.messaging import DEAD, EVENTS, TELEMETRY
from shoal_operations.database import DUMP, check_dump, connected, load_database, save_database, server_major
from shoal_operations.folders import MANIFEST, FolderError, replaced, whole
from shoal_operations.programs import fitting_programs
from shoal_operations.servers import sign_in
from shoal_operations.snapshots import check_no_streams, load_stream, save_stream

STREAMS: Final = (TELEMETRY, EVENTS, DEAD)
PARTS: Final = (DUMP, *(f"{name}.{kind}" for name in STREAMS for kind in ("json", "snapshot")))
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

    A backup that is in the folder stays until the new one is complete, was read and is on disk; then that takes its
    place.

    Args:
        folder: Is made, mode 0700.
        nats_url: NATS as `admin`.
        database_url: PostgreSQL as a role that may read everything; None: somebody else saves it, after this, as
            `database.dump` or elsewhere.
        programs: Where pg_dump and pg_restore are; by default those of this machine that fit the server.

    Raises:
        OperationError: Something could not be saved, or another one is written there: all is as it was.
    """
    with replaced(folder, parts=PARTS) as fresh:
        if database_url is not None:  # before the streams, which may be long
            programs = await fitting_programs(await server_major(database_url), programs)
        began = datetime.now(UTC)
        client = await sign_in(nats_url)
        try:
            messages = {name: await save_stream(client, name, fresh) for name in STREAMS}
        finally:
            await client.close()
        if database_url is not None and programs is not None:
            await save_database(database_url, fresh, programs=programs)
            await check_dump(database_url, fresh, programs=programs)
        manifest = Manifest(began, datetime.now(UTC), messages)
        (fresh / MANIFEST).write_bytes(msgspec.json.encode(manifest))
    return manifest


async def restore_backup(
    folder: Path, *, nats_url: str, database_url: str, programs: Path | None = None, has_database: bool = False
) -> Manifest:
    """Put a backup into servers that hold nothing yet but roles; services must not run.

    Args:
        folder: A backup.
        nats_url: NATS as `admin`; without streams.
        database_url: PostgreSQL as a superuser, migrated once, so that roles are there.
        programs: Where pg_restore is; by default what of this machine fits the server.
        has_database: Somebody has put the database back already; facts are marked and streams follow.

    Raises:
        OperationError: The folder holds no whole backup, or something could not be restored.
    """
    folder = whole(folder)
    manifest = _read(folder / MANIFEST)
    client = await sign_in(nats_url)
    try:
        await check_no_streams(client, STREAMS)
    finally:
        await client.close()  # the database may take an hour
    if not has_database:
        programs = await fitting_programs(await server_major(database_url), programs)
        await load_database(database_url, folder, programs=programs)
    await publish_again(database_url, since=manifest.began_at - MARGIN)
    client = await sign_in(nats_url)
    try:
        for name in STREAMS:
            await load_stream(client, name, folder)
    finally:
        await client.close()
    return manifest


def _read(file: Path) -> Manifest:
    try:
        return msgspec.json.decode(file.read_bytes(), type=Manifest)
    except msgspec.DecodeError:
        cure = "restore another backup; this one is not as `shoal backup` wrote it"
        raise FolderError(f"{file} cannot be read", cure) from None


async def publish_again(database_url: str, *, since: datetime) -> int:
    """Mark facts as unpublished that may be missing on the stream; returns how many."""
    async with connected(database_url) as connection:
        schemas = await connection.fetch("select schemaname from pg_tables where tablename = 'outbox'")
        marked = 0
        for schema in schemas:
            done = await connection.execute(
                f"update {schema['schemaname']}.outbox set published_at = null where published_at >= $1",  # noqa: S608
                since,
            )
            marked += int(done.rpartition(" ")[2])
        return marked
