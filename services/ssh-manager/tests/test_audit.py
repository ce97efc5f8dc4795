"""The audit log: written before anybody is answered, whole, and provably so; and from where callers may come."""

import asyncio
import os
import random
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import msgspec
import pytest
from ssh_door import ADMIN, Door, Open, Place, refused

from shoal.config import load
from shoal.database import Database
from shoal.testing.suite import eventually
from ssh_manager.audit.domain import Draft
from ssh_manager.audit.errors import ChainTamperedError
from ssh_manager.audit.repositories import AuditRepository
from ssh_manager.audit.usecases.chains import Chains
from ssh_manager.audit.usecases.log import AuditLog
from ssh_manager.audit.usecases.verification import verify
from ssh_manager.config import Config
from ssh_manager.ports import AuditType
from ssh_manager.vault import open_vault

LOGS = "/api/v1/ssh-audit-logs"
DRAFT = Draft(
    account_id="acct_1",
    instance_id=1,
    instance_name="bot-alpha",
    event_type=AuditType.CONNECTION,
    username="user_admin",
    source_ip="192.0.2.1",
    details="",
)


class Chain:
    """The audit log from the inside, beside the service."""

    def __init__(self, door: Door) -> None:
        environment = door.suite.environment() | door.settings
        config = load(Config, "SSH_MANAGER", _own(environment))
        self.database = Database(config.database_url.reveal(), schema="ssh_manager", pool_size=2)
        self.log = AuditLog(database=self.database, envelope=open_vault(config), retention_days=90)

    async def fill(self, count: int, account_id: str = "acct_1") -> None:
        async with self.database.transaction() as tx:
            await Chains(tx, self.log.seal).append(
                account_id,
                [msgspec.structs.replace(DRAFT, account_id=account_id, details=f"number {n}") for n in range(count)],
            )

    async def bad_id(self, **query: Any) -> int | None:
        (verdict,) = await verify(self.database, self.log.seal, account_id="acct_1", **query)
        return verdict.bad_id

    async def close(self) -> None:
        await self.database.close()


def _own(environment: dict[str, str]) -> dict[str, str]:
    return {name: value for name, value in environment.items() if name.startswith(("SSH_MANAGER_", "SHOAL_"))}


@pytest.fixture
async def chain(door: Door) -> Any:
    made = Chain(door)
    await made.log.open()
    yield made
    await made.close()


async def unguarded(door: Door, *statements: str) -> None:
    """Do what nobody but the database's own superuser can."""
    await door.script("set session_replication_role = replica", *statements)


async def test_entries_are_listed_newest_first_with_filters_and_pages(door: Door, chain: Chain) -> None:
    before = datetime.now(UTC) - timedelta(seconds=5)
    await chain.fill(60)
    await chain.fill(3, account_id="acct_2")
    answer = (await door.admin.get(LOGS)).json()
    assert (answer["total"], answer["limit"], answer["offset"], len(answer["entries"])) == (60, 50, 0, 50)
    assert [entry["id"] for entry in answer["entries"][:2]] == [60, 59]
    assert answer["entries"][0] == {
        "id": 60,
        "instance_id": 1,
        "instance_name": "bot-alpha",
        "event_type": "connection",
        "username": "user_admin",
        "source_ip": "192.0.2.1",
        "details": "number 59",
        "duration_ms": 0,
        "created_at": answer["entries"][0]["created_at"],
    }
    last = (await door.admin.get(LOGS, params={"limit": 50, "offset": 50})).json()
    assert [entry["id"] for entry in last["entries"]] == list(range(10, 0, -1))

    async def total(**query: object) -> int:
        found = await door.admin.get(LOGS, params=query)
        assert found.status_code == 200, found.text
        return found.json()["total"]

    past, future = before.isoformat(), (before + timedelta(hours=1)).isoformat()
    assert await total(since=past, until=future) == 60
    assert await total(since=future) == 0
    assert await total(until=past) == 0
    fits: dict[str, Any] = {"instance_id": 1, "instance_name": "bot-alpha", "username": "user_admin"}
    assert await total(**fits, event_type="connection") == 60
    for name, other in (("instance_id", 2), ("instance_name", "x"), ("username", "x"), ("event_type", "x")):
        assert await total(**fits | {name: other}) == 0
    assert (await door.admin.get(LOGS, params={"limit": 5000})).json()["limit"] == 1000
    assert (await door.stranger.get(LOGS)).json()["total"] == 3


async def test_a_query_that_cannot_be_read_is_refused(door: Door) -> None:
    wrong = {
        "limit": ("0", "-1", "x", ""),
        "offset": ("-1", "x"),
        "since": ("yesterday", "2026-02-21", "2026-02-21T10:30:00"),
        "until": ("2026-13-01T00:00:00Z",),
        "instance_id": ("x", "-1", "9" * 30),
    }
    for name, texts in wrong.items():
        for text in texts:
            refused(await door.admin.get(LOGS, params={name: text}), 400)


async def test_only_admins_read_and_purge(door: Door) -> None:
    for client, status in ((door.alice, 403), (door.nobody, 401)):
        refused(await client.get(LOGS), status)
        refused(await client.post(f"{LOGS}/purge"), status)


async def test_what_is_done_without_an_outcome_stays_to_be_seen(place: Place, chain: Chain) -> None:
    draft = msgspec.structs.replace(DRAFT, is_intent=True, details="begun", username="somebody")
    async with chain.database.transaction() as tx:
        (intent,) = await Chains(tx, chain.log.seal).append("acct_1", [draft])
    assert [entry["details"] for entry in await place.door.entries(username="somebody")] == ["begun"]
    done = msgspec.structs.replace(draft, is_intent=False, intent_id=intent.id, details="done")
    async with chain.database.transaction() as tx:
        await Chains(tx, chain.log.seal).append("acct_1", [done])
    answer = (await place.door.admin.get(LOGS, params={"username": "somebody"})).json()
    assert ([entry["details"] for entry in answer["entries"]], answer["total"]) == (["done"], 1)


async def test_nothing_is_done_that_cannot_be_written_down(place: Place) -> None:
    blocker = await asyncpg.connect(place.door.suite.database_url)
    before = place.sshd.authorized_keys.read_bytes()
    try:
        async with blocker.transaction():
            await blocker.execute("lock table ssh_manager.audit_head in access exclusive mode")
            calls = [
                place.door.admin.post(f"{place.url}/{what}") for what in ("ssh-test", "ssh-reconnect", "rotate-ssh-key")
            ]
            calls.append(place.door.admin.put(f"{place.url}/ssh-allowed-ips", json={"allowed_ips": "10.0.0.0/8"}))
            for answer in await asyncio.gather(*calls):
                refused(answer, 503, "audit_unavailable")
    finally:
        await blocker.close()
    assert place.sshd.authorized_keys.read_bytes() == before
    assert (await place.door.admin.get(f"{place.url}/ssh-allowed-ips")).json()["allowed_ips"] == ""
    assert await place.door.entries(username="user_admin") == []


async def test_what_happened_while_the_log_was_away_is_written_once_it_is_back(place: Place) -> None:
    await place.door.until_entry("connection")
    blocker = await asyncpg.connect(place.door.suite.database_url)
    try:
        async with blocker.transaction():
            await blocker.execute("lock table ssh_manager.audit_head in access exclusive mode")
            await place.sshd.kill()
            await place.until_state("reconnecting")
            await place.sshd.start()
            await place.until_state("connected")
    finally:
        await blocker.close()
    await eventually(lambda: _has(place.door, ["connection", "reconnection", "disconnection", "connection"]))


async def _has(door: Door, kinds: list[str]) -> bool:
    found = [entry["event_type"] for entry in await door.entries() if entry["event_type"] in kinds]
    return found == kinds


async def test_any_tampering_is_found_and_named(door: Door, chain: Chain) -> None:
    await chain.fill(300)
    assert await chain.bad_id() is None
    chooser = random.Random(7)
    ways = {
        "edit": "update audit set details = details || '!' where id = {one}",
        "redate": "update audit set created_at = created_at - interval '1 hour' where id = {one}",
        "delete": "delete from audit where id = {one}",
        "forge": "update audit set hash = sha256(hash) where id = {one}",
        "swap": "update audit set id = case id when {one} then -1 else {one} end where id in ({one}, {one} + 1);"
        "update audit set id = {one} + 1 where id = -1",
        "insert": "update audit set id = -id where id >= {one}; update audit set id = 1 - id where id < 0;"
        "insert into audit select account_id, {one}, instance_id, instance_name, event_type, username, source_ip,"
        " details, duration_ms, is_intent, intent_id, created_at, hash from audit where id = {one} + 1",
    }
    for number in range(60):
        way, one = list(ways)[number % len(ways)], chooser.randint(2, 298)
        await door.sql("create table kept as table audit")
        await unguarded(door, ways[way].format(one=one))
        assert await chain.bad_id() == one + (way == "insert"), way  # what was put in is a copy of the one before it
        await unguarded(door, "delete from audit", "insert into audit select * from kept")
        await door.sql("drop table kept")
    assert await chain.bad_id() is None


async def test_an_end_that_was_cut_off_is_found(door: Door, chain: Chain) -> None:
    await chain.fill(10)
    (verdict,) = await verify(chain.database, chain.log.seal, account_id="acct_1")
    await door.sql("create table kept as table audit_head")
    await unguarded(door, "delete from audit where id > 7")
    assert await chain.bad_id() == 8
    await door.sql("update audit_head set last_id = 7, last_hash = (select hash from audit where id = 7)")
    assert await chain.bad_id() == 7  # the head is not one that we wrote
    refused(await door.admin.put("/api/v1/instances/1/ssh-allowed-ips", json={"allowed_ips": ""}), 404)
    # one who kept an old head and put it back is found by what the service's own log told
    await unguarded(door, "delete from audit", "delete from audit_head")
    await chain.fill(7)
    assert await chain.bad_id() is None
    assert await chain.bad_id(anchors={10: verdict.last_hash}) == 10
    assert await chain.bad_id(anchors={7: verdict.last_hash}) == 7


async def test_nothing_is_appended_to_a_log_that_was_tampered_with(place: Place) -> None:
    await place.door.until_entry("connection")
    await place.door.sql("update audit_head set last_id = last_id - 1")
    refused(await place.door.admin.post(f"{place.url}/ssh-test"), 503, "audit_tampered")


async def test_the_service_itself_cannot_change_entries(door: Door, chain: Chain) -> None:
    await chain.fill(3)
    for statement in ("update audit set details = ''", "delete from audit", "truncate audit"):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            async with chain.database.transaction() as tx:
                await tx.execute(statement)
    async with chain.database.transaction() as tx:
        assert await tx.value("select purge_audit('acct_1', 3)") == 0  # too young to be purged


async def test_a_purge_is_no_tampering(door: Door, chain: Chain) -> None:
    await chain.fill(20)
    await chain.fill(5, account_id="acct_2")
    await unguarded(door, "update audit set created_at = created_at - interval '100 days' where id <= 12")
    await _seal_anew(door, chain)
    refused(await door.admin.post(f"{LOGS}/purge", params={"days": 0}), 400)
    refused(await door.admin.post(f"{LOGS}/purge", params={"days": "x"}), 400)
    assert (await door.admin.post(f"{LOGS}/purge", params={"days": 200})).json() == {
        "deleted": 0,
        "retention_days": 200,
    }
    assert (await door.admin.post(f"{LOGS}/purge")).json() == {"deleted": 12, "retention_days": 90}
    assert await chain.bad_id() is None
    await chain.fill(2)
    assert await chain.bad_id() is None
    assert (await door.admin.get(LOGS)).json()["total"] == 10
    await unguarded(door, "delete from audit where account_id = 'acct_1' and id = 13")
    assert await chain.bad_id() == 13


async def _seal_anew(door: Door, chain: Chain) -> None:
    """Make the chains again from rows whose times a test moved."""
    async with chain.database.transaction() as tx:
        entries = await AuditRepository(tx).page("acct_1", after=0, limit=100)
    previous, statements = b"", []
    for entry in entries:
        previous = chain.log.seal.of_entry(entry, previous)
        statements.append(
            f"update audit set hash = '\\x{previous.hex()}' where account_id = 'acct_1' and id = {entry.id}"  # noqa: S608
        )
    await unguarded(door, *statements)
    async with chain.database.transaction() as tx:
        repository = AuditRepository(tx)
        head = await repository.head("acct_1")
        assert head is not None
        signed = chain.log.seal.signed(msgspec.structs.replace(head, last_hash=previous))
        await tx.execute(
            "update audit_head set last_hash = $1, mac = $2 where account_id = 'acct_1'", signed.last_hash, signed.mac
        )


async def test_old_entries_leave_by_themselves(open_door: Open) -> None:
    door = await open_door()
    chain = Chain(door)
    await chain.log.open()
    await chain.fill(5)
    await unguarded(door, "update audit set created_at = created_at - interval '100 days' where id <= 3")
    await _seal_anew(door, chain)
    await chain.close()
    await door.restart()

    async def holds() -> bool:
        return [entry["id"] for entry in await door.entries()] == [5, 4]

    await eventually(holds)


async def test_appending_keeps_numbers_without_gaps_whoever_writes(chain: Chain) -> None:
    await asyncio.gather(*(chain.fill(5) for _ in range(20)))
    assert await chain.bad_id() is None
    async with chain.database.transaction() as tx:
        assert await tx.value("select array_agg(id order by id) from audit") == list(range(1, 101))


async def test_the_command_line_verifies_and_accepts(door: Door, chain: Chain) -> None:
    await chain.fill(5)

    async def shoal(*arguments: str) -> tuple[int, str]:
        process = await asyncio.create_subprocess_exec(
            *(str(Path(sys.executable).with_name("shoal")), "audit", *arguments),
            env=_own(door.suite.environment() | door.settings) | {"PATH": os.environ["PATH"], "COLUMNS": "200"},
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        output, _ = await process.communicate()
        return process.returncode or 0, output.decode()

    status, said = await shoal("verify")
    assert (status, "unchanged" in said) == (0, True), said
    await unguarded(door, "update audit set username = 'nobody' where id = 4")
    status, said = await shoal("verify", "--account", "acct_1")
    assert (status, "entry 4: an entry is not as it was written" in said) == (1, True), said
    await door.sql("update audit_head set last_id = 9")
    with pytest.raises(ChainTamperedError):
        await chain.fill(1)
    status, said = await shoal("accept", "acct_1")
    assert (status, "goes on after entry 5" in said) == (0, True), said
    await chain.fill(1)
    assert await chain.bad_id() == 4  # what was done is still seen


async def test_allowed_addresses_are_kept_in_one_form(place: Place) -> None:
    url = f"{place.url}/ssh-allowed-ips"
    assert (await place.door.admin.get(url)).json() == {"instance_id": 1, "allowed_ips": "", "normalized_list": ""}
    given = " 10.0.0.5/8 ,192.168.1.7, 2001:DB8::1/32,::ffff:192.0.2.1 , "
    kept = "10.0.0.0/8,192.168.1.7,2001:db8::/32,192.0.2.1"
    answer = await place.door.admin.put(url, json={"allowed_ips": given})
    assert answer.json() == {"instance_id": 1, "allowed_ips": kept, "normalized_list": kept}
    assert (await place.door.admin.get(url)).json() == answer.json()
    for wrong in ("10.0.0.0/33", "localhost", "10.0.0", "1.2.3.4;1.2.3.5", "fe80::1%eth0", "0x7f.1", " , "):
        refused(await place.door.admin.put(url, json={"allowed_ips": wrong}), 400, "invalid_ip")
    refused(await place.door.admin.put(url, json={}), 400)
    refused(await place.door.alice.get(url), 403)
    refused(await place.door.alice.put(url, json={"allowed_ips": ""}), 403)
    refused(await place.door.stranger.get(url), 404)


async def test_changes_of_allowed_addresses_are_written_down(place: Place) -> None:
    url = f"{place.url}/ssh-allowed-ips"
    for allowed in ("10.0.0.5/8, 192.0.2.1", ""):
        (await place.door.admin.put(url, json={"allowed_ips": allowed})).raise_for_status()
    refused(await place.door.admin.put(url, json={"allowed_ips": "nonsense"}), 400)
    entries = await place.door.entries(event_type="allowed_ips_changed")
    assert [(entry["username"], entry["details"]) for entry in entries] == [
        ("user_admin", "Allowed addresses: all; before: 10.0.0.0/8,192.0.2.1"),
        ("user_admin", "Allowed addresses: 10.0.0.0/8,192.0.2.1; before: all"),
    ]
    assert entries[0]["source_ip"] == "127.0.0.1"


async def test_callers_from_elsewhere_are_kept_out_and_that_is_told(place: Place) -> None:
    await place.door.admin.put(f"{place.url}/ssh-allowed-ips", json={"allowed_ips": "10.0.0.0/8"})

    def come(source: str) -> httpx.AsyncClient:
        return place.door.service.client(msgspec.structs.replace(ADMIN, source=source))

    outside = come("11.0.0.1")
    before = (await place.status())["health"]["connected_at"]
    message = "Source IP 11.0.0.1 is not allowed to reach this instance"
    tested = (await outside.post(f"{place.url}/ssh-test")).json()
    assert (tested["success"], tested["command_test"], tested["error"]) == (False, False, message)
    assert (await outside.post(f"{place.url}/ssh-reconnect")).json() == {"success": False, "message": message}
    assert (await outside.post(f"{place.url}/rotate-ssh-key")).json()["message"] == message
    entries = await place.door.entries(event_type="ip_restricted")
    assert [(entry["source_ip"], entry["username"]) for entry in entries] == [("11.0.0.1", "user_admin")] * 3
    assert (await place.until_event("ip_restricted"))["details"] == message
    assert (await place.status())["health"]["connected_at"] == before
    for source, is_in in (("10.255.255.255", True), ("::ffff:10.1.1.1", True), ("9.255.255.255", False), ("", False)):
        assert (await come(source).post(f"{place.url}/ssh-test")).json()["success"] is is_in, source
    await place.sshd.kill()  # what nobody asks for is not kept out
    await place.until_state("reconnecting")
    await place.sshd.start()
    await place.until_state("connected")
