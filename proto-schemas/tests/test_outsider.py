"""A consumer that knows only the descriptors reads what is published, and can change nothing."""

import asyncio
import json
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import nats
import pytest
from nats.js.client import JetStreamContext

from shoal_events.catalogue import EVENTS

FOLDER = Path(__file__).resolve().parents[1]
CONSUME = FOLDER.parent / "tests-e2e/outsider/consume.py"
SERVER = shutil.which("nats-server", path=str(Path(sys.executable).parent)) or shutil.which("nats-server")

CONFIG = """
listen: "127.0.0.1:-1"
jetstream { store_dir: "%(folder)s" }
authorization {
  users: [
    { user: service, password: service }
    { user: consumer, password: consumer, permissions: {
        publish: { allow: ["$JS.API.CONSUMER.CREATE.EVENTS", "$JS.FC.EVENTS.>"%(more)s] }
        subscribe: { allow: ["shoal.events.>", "shoal.live.>", "_INBOX.consumer.>"] } } }
  ]
}
"""


class Server:
    """A NATS server with the stream EVENTS, and the address of its reader."""

    def __init__(self, address: str, stream: JetStreamContext) -> None:
        self.reader = f"nats://consumer:consumer@{address}"
        self.stream = stream

    async def publish(self, event_type: str, body: bytes, **changed: str) -> None:
        event = next(event for event in EVENTS if event.event_type == event_type)
        headers = {
            "ce-specversion": "1.0",
            "ce-id": f"id-{event_type}",
            "ce-type": event_type,
            "ce-source": event.source,
            "ce-time": "2026-01-30T12:00:00Z",
            "traceparent": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "Nats-Msg-Id": f"id-{event_type}",
        }
        subject = f"{event.subject_prefix}.{json.loads(body)[event.entity]}"
        await self.stream.publish(subject, body, headers=headers | changed)

    async def consume(self) -> tuple[int, str]:
        """Run the consumer; return its exit code and all that it printed."""
        arguments = (str(CONSUME), "--url", self.reader, "--until-idle", "0.3")
        process = await asyncio.create_subprocess_exec(
            sys.executable, *arguments, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
        output, _ = await process.communicate()
        return process.returncode or 0, output.decode()


@pytest.fixture
def granted_too_much() -> str:
    return ""


@pytest.fixture
async def server(tmp_path: Path, granted_too_much: str) -> AsyncIterator[Server]:
    assert SERVER, "nats-server is part of the development environment"
    config = tmp_path / "nats.conf"
    config.write_text(CONFIG % {"folder": tmp_path, "more": granted_too_much})
    command = (SERVER, "-c", str(config), "--ports_file_dir", str(tmp_path))
    process = await asyncio.create_subprocess_exec(*command, stderr=subprocess.DEVNULL)
    try:
        address = await asyncio.wait_for(_address(tmp_path), 10)
        client = await nats.connect(f"nats://service:service@{address}")
        stream = client.jetstream()
        await stream.add_stream(name="EVENTS", subjects=["shoal.events.>"])
        yield Server(address, stream)
        await client.close()
    finally:
        process.terminate()
        await process.wait()


async def _address(folder: Path) -> str:
    while not (written := "".join(file.read_text() for file in _ports_files(folder))):
        await asyncio.sleep(0.01)
    return str(json.loads(written)["nats"][0]).removeprefix("nats://")


def _ports_files(folder: Path) -> list[Path]:
    return list(folder.glob("*.ports"))


def example(event_type: str) -> bytes:
    return (FOLDER / f"examples/{event_type}.json").read_bytes()


async def test_outsider_reads_every_event_and_counts_them(server: Server) -> None:
    for event in EVENTS:
        written = event.from_json(example(event.event_type)).to_json()
        await server.publish(event.event_type, written)
    code, output = await server.consume()
    assert code == 0, output
    assert f"{len(EVENTS):8}  events of {len(EVENTS)} types, 0 complaints" in output


GOOD = {"pairing_id": "pair_1", "account_id": "acc_1", "version": 1}
BROKEN: tuple[tuple[dict[str, object], dict[str, str], str], ...] = (
    ({"pairing_id": "pair_1", "version": 1}, {}, "account_id is required"),
    (GOOD | {"version": 0}, {}, "version is required"),
    (GOOD | {"version": "x"}, {}, "body: Failed to parse version"),
    (
        GOOD | {"colour": "blue"},
        {},
        'body: Message type "shoal.events.v1.PairingRenamed" has no field named "colour"',
    ),
    ({"accountId": "acc_1"} | GOOD, {}, "accountId is not the name of a field"),
    (GOOD, {"ce-type": "pairing.opened.v1"}, "ce-type is pairing.opened.v1"),
    (GOOD, {"ce-source": "/shoal/gateway"}, "ce-source is /shoal/gateway"),
    (GOOD, {"ce-specversion": "0.3"}, "ce-specversion is 0.3"),
    (GOOD, {"ce-id": "another"}, "ce-id is another"),
    (GOOD, {"ce-time": "2026-01-30 12:00"}, "ce-time is not"),
    (GOOD, {"traceparent": "00-0-0-0"}, "traceparent"),
    (GOOD | {"pairing_id": "pair$1"}, {}, "the subject's last token is not an id"),
)


async def test_outsider_complains_about_each_event_that_breaks_its_contract(server: Server) -> None:
    for number, (body, headers, _) in enumerate(BROKEN):
        unique = {"ce-id": f"id-{number}", "Nats-Msg-Id": f"id-{number}"}
        await server.publish("pairing.renamed.v1", json.dumps(body).encode(), **(unique | headers))
    code, output = await server.consume()
    assert code == 1
    for number, (_, _, complaint) in enumerate(BROKEN, start=1):
        assert f"(sequence {number}): {complaint}" in output


async def test_outsider_complains_about_an_event_without_a_contract(server: Server) -> None:
    await server.stream.publish("shoal.events.tide.turned.v1.tide_1", b"{}")
    code, output = await server.consume()
    assert code == 1
    assert "no contract describes tide.turned.v1" in output


@pytest.mark.parametrize("granted_too_much", [', "shoal.telemetry.>"'])
async def test_outsider_complains_when_it_may_publish(server: Server) -> None:
    await server.publish("account.deleted.v1", example("account.deleted.v1"))
    code, output = await server.consume()
    assert code == 1
    assert "publishing to shoal.telemetry.batch.proof was not refused" in output
    assert output.count("was not refused") == 1
