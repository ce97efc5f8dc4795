"""Streams as files: JetStream's own snapshots, with the state of their consumers.

The server sends a stream as a compressed archive in chunks, each acknowledged, and reads it back the same way; what is
published meanwhile is not part of it.
"""

import asyncio
from collections.abc import AsyncIterator, Iterable
from pathlib import Path
from typing import Any

import msgspec
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.errors import Error as NatsError

from shoal.reasons import reason
from shoal_operations.errors import OperationError

CHUNK = 128 * 1024
ANSWER_S = 10.0
SILENCE_S = 60.0


class SnapshotError(OperationError):
    """NATS would not give or take a stream."""


async def save_stream(client: Client, name: str, folder: Path) -> int:
    """Write a stream to `<name>.json` (what it is) and `<name>.snapshot` (what it holds); returns its messages.

    Args:
        client: Signed in as a user who may do everything.
        name: The stream.
        folder: Is there.

    Raises:
        SnapshotError: The server refuses, or stops sending.
    """
    inbox = client.new_inbox()
    chunks: asyncio.Queue[Msg] = asyncio.Queue()
    subscription = await client.subscribe(inbox, cb=chunks.put)
    try:
        request = {"deliver_subject": inbox, "chunk_size": CHUNK}
        about = await _ask(client, f"$JS.API.STREAM.SNAPSHOT.{name}", request)
        with (folder / f"{name}.snapshot").open("wb") as file:
            async for chunk in _until_end(chunks):
                await asyncio.to_thread(file.write, chunk)
    finally:
        await subscription.unsubscribe()
    kept = {"config": about["config"], "state": about["state"]}
    (folder / f"{name}.json").write_bytes(msgspec.json.encode(kept))
    return int(about["state"]["messages"])


async def load_stream(client: Client, name: str, folder: Path) -> int:
    """Make a stream again as it was saved; returns its messages.

    Raises:
        SnapshotError: A stream of this name is there, or the server refuses.
    """
    about = msgspec.json.decode((folder / f"{name}.json").read_bytes())
    opened = await _ask(client, f"$JS.API.STREAM.RESTORE.{name}", about)
    to = str(opened["deliver_subject"])
    with (folder / f"{name}.snapshot").open("rb") as file:
        while chunk := await asyncio.to_thread(file.read, CHUNK):
            _check(name, (await _request(client, to, chunk)).data)
    made = await _ask(client, to, None)
    return int(made["state"]["messages"])


async def check_no_streams(client: Client, names: Iterable[str]) -> None:
    """Look whether streams could be made again.

    Raises:
        SnapshotError: One of these is there already; names each that is.
    """
    answer = msgspec.json.decode((await _request(client, "$JS.API.STREAM.NAMES", b"")).data)
    there = [name for name in names if name in (answer.get("streams") or ())]
    if there:
        raise SnapshotError(
            f"NATS holds streams already: {', '.join(there)}; nothing was changed",
            f"stop every service, delete them (`nats stream rm -f {there[0]}`, …) or start NATS on an empty folder,"
            " then run this again",
        )


async def _until_end(chunks: asyncio.Queue[Msg]) -> AsyncIterator[bytes]:
    while True:
        try:
            async with asyncio.timeout(SILENCE_S):
                message = await chunks.get()
        except TimeoutError:
            raise SnapshotError(f"the server sent nothing for {SILENCE_S:.0f} s") from None
        if not message.data:
            status = (message.headers or {}).get("Status", "204")
            if status not in {"204", "200"}:
                raise SnapshotError(f"the server gave up: {(message.headers or {}).get('Description', status)}")
            return
        if message.reply:
            await message.respond(b"")
        yield message.data


async def _ask(client: Client, subject: str, body: object) -> dict[str, Any]:
    payload = b"" if body is None else msgspec.json.encode(body)
    return _check(subject, (await _request(client, subject, payload)).data)


async def _request(client: Client, subject: str, payload: bytes) -> Msg:
    try:
        return await client.request(subject, payload, timeout=ANSWER_S)
    except (NatsError, TimeoutError) as error:
        raise SnapshotError(f"NATS does not answer {subject}: {reason(error)}") from error


def _check(what: str, answer: bytes) -> dict[str, Any]:
    told: dict[str, Any] = msgspec.json.decode(answer) if answer else {}
    if "error" in told:
        raise SnapshotError(f"{what}: {told['error'].get('description')}")
    return told
