"""Streams as files, and dead letters: against a real server."""

from collections.abc import AsyncIterator
from pathlib import Path
from uuid import uuid4

import nats
import pytest
from nats.aio.client import Client
from nats.js.api import ConsumerConfig

from shoal.messaging import DEAD, EVENTS, StreamLimits, streams
from shoal_embedded.nats import EmbeddedNats
from shoal_operations.backups import restore_backup, take_backup
from shoal_operations.database import DumpError, load_database, save_database
from shoal_operations.errors import OperationError
from shoal_operations.folders import MANIFEST
from shoal_operations.letters import letters, replay
from shoal_operations.snapshots import SnapshotError, load_stream, save_stream


@pytest.fixture
async def client(tmp_path: Path) -> AsyncIterator[Client]:
    server = EmbeddedNats(tmp_path / "nats", sync_always=False)
    await server.start()
    connected = await nats.connect(server.url)
    for stream in streams(StreamLimits()):
        await connected.jetstream().add_stream(stream)
    yield connected
    await connected.close()
    await server.stop()


async def test_a_stream_comes_back_with_its_messages_and_what_consumers_had_taken(
    client: Client, tmp_path: Path
) -> None:
    jetstream = client.jetstream()
    await jetstream.add_consumer(EVENTS, ConsumerConfig(durable_name="taker"))
    for number in range(2000):
        await jetstream.publish(f"shoal.events.a.b.v1.{number}", b"x" * 500)
    pull = await jetstream.pull_subscribe_bind("taker", EVENTS)
    for message in await pull.fetch(50):
        await message.ack_sync()
    assert await save_stream(client, EVENTS, tmp_path) == 2000
    await jetstream.delete_stream(EVENTS)
    assert await load_stream(client, EVENTS, tmp_path) == 2000
    (first,) = await (await jetstream.pull_subscribe_bind("taker", EVENTS)).fetch(1)
    assert first.metadata.sequence.stream == 51
    assert (await jetstream.get_msg(EVENTS, 2000)).subject == "shoal.events.a.b.v1.1999"


async def test_an_empty_stream_comes_back_too(client: Client, tmp_path: Path) -> None:
    assert await save_stream(client, EVENTS, tmp_path) == 0
    await client.jetstream().delete_stream(EVENTS)
    assert await load_stream(client, EVENTS, tmp_path) == 0


async def test_a_stream_that_is_there_is_not_overwritten(client: Client, tmp_path: Path) -> None:
    await save_stream(client, EVENTS, tmp_path)
    with pytest.raises(SnapshotError):
        await load_stream(client, EVENTS, tmp_path)


async def test_where_nothing_ever_died_there_are_no_letters(client: Client) -> None:
    assert [one async for one in letters(client)] == []
    assert await replay(client) == 0


async def test_letters_go_back_to_where_they_came_from_under_their_own_id(client: Client) -> None:
    jetstream, event_id = client.jetstream(), str(uuid4())
    for reason in ("first", "second"):
        headers = {"ce-id": event_id, "shoal-subject": "shoal.events.a.b.v1.1", "shoal-reason": reason}
        await jetstream.publish("shoal.dead.pairing.pairing-users", b"{}", headers=headers)
    assert [(one.sequence, one.consumer, one.reason) async for one in letters(client)] == [
        (1, "pairing-users", "first"), (2, "pairing-users", "second"),
    ]  # fmt: skip
    assert await replay(client, [2]) == 1
    assert [one.sequence async for one in letters(client)] == [1]
    back = await jetstream.get_msg(EVENTS, 1)
    assert (back.subject, (back.headers or {})["ce-id"]) == ("shoal.events.a.b.v1.1", event_id)
    assert await replay(client) == 1
    assert (await jetstream.stream_info(DEAD)).state.messages == 0


async def test_nothing_is_dropped_where_there_is_nothing_to_put_back(tmp_path: Path) -> None:
    with pytest.raises(DumpError, match=r"has no database\.dump") as told:
        await load_database("postgresql://nobody@127.0.0.1:1/none", tmp_path, programs=tmp_path)
    assert "--no-database" in told.value.cure


async def test_a_backup_that_failed_leaves_the_former_one_and_nothing_else(client: Client, tmp_path: Path) -> None:
    folder, url = tmp_path / "backups" / "new", client.connected_url
    assert url is not None
    with pytest.raises(OperationError, match="no whole backup in"):
        await restore_backup(folder, nats_url=url.geturl(), database_url="", has_database=True)
    await take_backup(folder, nats_url=url.geturl(), database_url=None)
    former = (folder / MANIFEST).read_bytes()
    await client.jetstream().delete_stream(DEAD)
    with pytest.raises(SnapshotError):
        await take_backup(folder, nats_url=url.geturl(), database_url=None)
    assert (folder / MANIFEST).read_bytes() == former
    assert [one.name for one in folder.parent.iterdir()] == ["new"]


async def test_a_restore_where_streams_are_changes_nothing_and_says_what_to_do(client: Client, tmp_path: Path) -> None:
    folder, url = tmp_path / "new", client.connected_url
    assert url is not None
    await take_backup(folder, nats_url=url.geturl(), database_url=None)
    with pytest.raises(SnapshotError, match="NATS holds streams already: TELEMETRY, EVENTS, DEAD") as told:
        await restore_backup(folder, nats_url=url.geturl(), database_url="postgresql://nobody@127.0.0.1:1/none")
    assert "nats stream rm -f TELEMETRY" in told.value.cure


async def test_what_an_address_says_of_tls_is_heeded_by_postgresqls_tools(tmp_path: Path) -> None:
    program = tmp_path / "pg_dump"
    program.write_text('#!/bin/sh\necho "$PGHOST $PGDATABASE $PGSSLMODE $PGSSLROOTCERT" > "$(dirname "$0")/told"\n')
    program.chmod(0o755)
    url = "postgresql://shoal:x@db.example/shoal?sslmode=verify-full&sslrootcert=%2Fetc%2Fca%2Fca.crt"
    await save_database(url, tmp_path, programs=tmp_path)
    assert (tmp_path / "told").read_text() == "db.example shoal verify-full /etc/ca/ca.crt\n"
