"""Terminals: shells of OpenSSH's server, through the service's socket."""

import asyncio
import contextlib
import json
from typing import Any

import pytest
from ssh_door import ADMIN, ALICE, STRANGER, Door, Place, refused
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from shoal.identity import HEADER, Principal, Role
from shoal.testing.suite import eventually, user
from shoal_events import UserDeleted
from ssh_manager.terminals.domain import MAX_TERMINALS, Pace, Scrollback, Size

OTHER_ADMIN = user("acct_1", "user_other", role=Role.ADMIN)


class Terminal:
    """A browser's end of a terminal."""

    def __init__(self, socket: ClientConnection) -> None:
        self.socket = socket
        self.session: dict[str, Any] = {}
        self.shown = b""
        self.frames: list[dict[str, Any]] = []

    @classmethod
    async def open(cls, place: Place, principal: Principal = ADMIN, query: str = "", **rest: Any) -> "Terminal":
        headers = {HEADER.decode(): place.door.service.token(principal)}
        url = place.door.service.url.replace("http", "ws") + f"{place.url}/terminal{query}"
        made = cls(await connect(url, additional_headers=headers, proxy=None, compression=None, **rest))
        made.session = json.loads(await made.socket.recv())
        assert made.session["type"] == "session"
        return made

    @property
    def id(self) -> str:
        return self.session["session_id"]

    async def type(self, text: str) -> None:
        await self.socket.send(text.encode())

    async def until(self, text: bytes, *, within_s: float = 10) -> None:
        """Read until something was shown."""
        async with asyncio.timeout(within_s):
            while text not in self.shown:
                await self.read()

    async def read(self) -> None:
        message = await self.socket.recv()
        if isinstance(message, bytes):
            self.shown += message
        else:
            self.frames.append(json.loads(message))

    async def until_frame(self, kind: str) -> dict[str, Any]:
        async with asyncio.timeout(10):
            while not [frame for frame in self.frames if frame["type"] == kind]:
                await self.read()
        return self.frames[-1]

    async def closed(self, *, within_s: float = 5) -> int | None:
        """Read to the end; returns the close code."""
        async with asyncio.timeout(within_s):
            with contextlib.suppress(ConnectionClosed):
                while True:
                    await self.read()
        return self.socket.close_code


async def refusal(place: Place, principal: Principal = ADMIN, query: str = "", *, url: str = "") -> int:
    """Ask for a terminal that cannot be had; returns the close code."""
    headers = {HEADER.decode(): place.door.service.token(principal)}
    address = place.door.service.url.replace("http", "ws") + (url or f"{place.url}/terminal") + query
    async with connect(address, additional_headers=headers, proxy=None) as socket:
        with pytest.raises(ConnectionClosed) as closed:
            await asyncio.wait_for(socket.recv(), 10)
        assert closed.value.rcvd is not None
        return closed.value.rcvd.code


async def sessions(place: Place, query: str = "", client: Any = None) -> list[dict[str, Any]]:
    answer = await (client or place.door.admin).get(f"{place.url}/terminal/sessions{query}")
    assert answer.status_code == 200, answer.text
    return answer.json()["sessions"]


async def until_admitted(door: Door, place: Place) -> None:
    await door.assign("user_alice", place.id)

    async def holds() -> bool:
        return (await door.alice.get(f"{place.url}/tunnels")).status_code == 200

    await eventually(holds)


async def test_a_terminal_is_a_real_one_that_can_be_typed_into_and_resized(place: Place) -> None:
    terminal = await Terminal.open(place, query="?shell=sh&cols=100&rows=30")
    await terminal.type("stty size; tty; echo t=$TERM\n")
    await terminal.until(b"t=xterm-256color")
    assert b"30 100" in terminal.shown
    assert b"/dev/pts/" in terminal.shown
    await terminal.socket.send(json.dumps({"type": "resize", "cols": 9999, "rows": 40}))
    await terminal.socket.send(json.dumps({"type": "input", "data": "stty size\n"}))
    await terminal.until(b"40 500")
    await terminal.socket.send('{"type": "ping"}')
    await terminal.until_frame("pong")
    for nonsense in ("{", "[]", '{"type": "other"}', '{"type": "resize"}'):
        await terminal.socket.send(nonsense)
    assert (await terminal.until_frame("error"))["code"] == "invalid_frame"
    await terminal.type("exit 3\n")
    assert await terminal.closed() == 1000
    (session,) = await sessions(place)
    assert (session["id"], session["state"], session["shell"]) == (terminal.id, "closed", "sh")
    assert (session["instance_id"], session["user_id"]) == (1, "user_admin")
    assert session["closed_at"] > session["created_at"]
    assert await sessions(place, "?active=true") == []


async def test_a_terminal_waits_for_its_user_and_shows_again_what_it_showed(place: Place) -> None:
    terminal = await Terminal.open(place, query="?shell=sh")
    await terminal.type("echo be''fore\n")
    await terminal.until(b"before")
    await terminal.socket.close()

    async def is_detached() -> bool:
        return [one["state"] for one in await sessions(place)] == ["detached"]

    await eventually(is_detached)
    again = await Terminal.open(place, query=f"?session_id={terminal.id}")
    assert again.session == {"type": "session", "session_id": terminal.id, "state": "active"}
    await again.until(b"before")
    await again.type("echo af''ter\n")
    await again.until(b"after")
    third = await Terminal.open(place, query=f"?session_id={terminal.id}")
    assert await again.closed() == 4409
    await third.until(b"after")
    await third.socket.close()


async def test_a_terminal_is_its_users_alone(door: Door, place: Place) -> None:
    await until_admitted(door, place)
    terminal = await Terminal.open(place)
    query = f"?session_id={terminal.id}"
    assert await refusal(place, ALICE, query) == 4403
    assert await refusal(place, OTHER_ADMIN, query) == 4403
    assert await sessions(place, client=door.alice) == []
    refused(await door.alice.delete(f"{place.url}/terminal/sessions/{terminal.id}"), 403, "terminal_forbidden")
    others = door.service.client(OTHER_ADMIN)
    assert [one["id"] for one in await sessions(place, client=others)] == [terminal.id]
    answer = await others.delete(f"{place.url}/terminal/sessions/{terminal.id}")
    assert (answer.status_code, answer.json()) == (200, {"status": "closed"})
    assert await terminal.closed() == 4410
    assert await refusal(place, query=query) == 4410
    refused(await door.admin.delete(f"{place.url}/terminal/sessions/term_unknown"), 404, "terminal_not_found")


async def test_refusals_are_close_codes(door: Door, place: Place) -> None:
    assert await refusal(place, Principal()) == 4401
    assert await refusal(place, ALICE) == 4403
    assert await refusal(place, STRANGER) == 4004
    assert await refusal(place, url="/api/v1/instances/77/terminal") == 4004
    assert await refusal(place, url="/api/v1/instances/x/terminal") == 4004
    assert await refusal(place, query="?session_id=term_unknown") == 4404
    assert await refusal(place, query="?shell=/bin/sh%20-c%20id") == 4400
    assert (await door.admin.get(f"{place.url}/terminal")).status_code == 426
    rule = {"allowed_ips": "203.0.113.0/24"}
    assert (await door.admin.put(f"{place.url}/ssh-allowed-ips", json=rule)).status_code == 200
    assert await refusal(place) == 4403


async def test_an_instance_has_only_so_many_terminals(place: Place) -> None:
    open_ones = [await Terminal.open(place) for _ in range(MAX_TERMINALS)]
    assert await refusal(place) == 4429
    answer = await place.door.admin.delete(f"{place.url}/terminal/sessions/{open_ones[0].id}")
    assert answer.status_code == 200
    await Terminal.open(place)


async def test_messages_are_bounded(place: Place) -> None:
    terminal = await Terminal.open(place)
    await terminal.socket.send(b"x" * (64 * 1024 + 1))
    assert await terminal.closed() == 1009


async def test_what_is_shown_is_remembered_up_to_a_bound_and_nothing_is_lost_to_a_slow_browser(place: Place) -> None:
    terminal = await Terminal.open(place, query="?shell=sh")
    await terminal.type("stty -echo; seq 300000; echo do''ne\n")
    await asyncio.sleep(0.5)
    await terminal.until(b"done\r\n", within_s=20)
    lines = terminal.shown[terminal.shown.index(b"1\r\n2\r\n") :].split(b"\r\n")
    assert lines[:300_000] == [b"%d" % one for one in range(1, 300_001)]
    await terminal.socket.close()
    again = await Terminal.open(place, query=f"?session_id={terminal.id}")
    await again.until(b"done\r\n")
    assert 900_000 < len(again.shown) <= 1024 * 1024
    await again.socket.close()


async def test_terminals_end_with_the_connection_and_the_right_to_it(door: Door, place: Place) -> None:
    await until_admitted(door, place)
    mine, hers = await Terminal.open(place), await Terminal.open(place, ALICE)
    await door.assign("user_alice", version=2)
    assert await hers.closed() == 4401
    admins = await Terminal.open(place, OTHER_ADMIN)
    await door.tell(UserDeleted(user_id="user_other", account_id="acct_1", version=3))
    assert await admins.closed() == 4401
    await place.sshd.kill()
    assert await mine.closed() == 4502
    await place.until_state("reconnecting")
    assert await refusal(place) == 4003


async def test_a_terminal_ends_when_its_users_address_is_no_longer_allowed(place: Place) -> None:
    shown, left = await Terminal.open(place), await Terminal.open(place)
    await left.socket.close()
    rule = {"allowed_ips": "203.0.113.0/24"}
    (await place.door.admin.put(f"{place.url}/ssh-allowed-ips", json=rule)).raise_for_status()
    assert await shown.closed() == 4403
    assert shown.socket.close_reason == "your address is no longer allowed to reach this instance"

    async def are_closed() -> bool:
        return [one["state"] for one in await sessions(place)] == ["closed", "closed"]

    await eventually(are_closed)
    assert await refusal(place, query=f"?session_id={left.id}") == 4403


async def test_an_unused_terminal_is_closed(open_door, sshd) -> None:
    door = await open_door(SSH_MANAGER_TERMINAL_IDLE="500ms")
    place = Place(door, sshd)
    await place.appear()
    await place.until_state("connected")
    terminal = await Terminal.open(place)
    assert await terminal.closed(within_s=8) == 4410


async def test_terminals_are_written_down_before_they_are_given_and_when_they_end(door: Door, place: Place) -> None:
    terminal = await Terminal.open(place)
    (start,) = await door.entries(event_type="terminal_session_start")
    assert (start["username"], start["source_ip"], start["instance_id"]) == ("user_admin", "127.0.0.1", 1)
    assert terminal.id in start["details"]
    await terminal.type("exit\n")
    assert await terminal.closed() == 1000
    end = await door.until_entry("terminal_session_end")
    assert (end["username"], end["instance_name"]) == ("user_admin", "bot-alpha")
    assert end["details"] == f"Terminal {terminal.id}: the shell has ended"
    assert end["duration_ms"] > 0


def test_scrollback_keeps_the_last_bytes() -> None:
    kept = Scrollback(10)
    for part in (b"abc", b"defgh", b"ijklm"):
        kept.add(part)
    assert kept.all() == b"defghijklm"
    kept.add(b"0123456789xyz")
    assert kept.all() == b"3456789xyz"


def test_sizes_are_sizes_that_a_terminal_can_have() -> None:
    assert Size.of(0, -5) == Size(1, 1)
    assert Size.of(10_000, 10_000) == Size(500, 200)


def test_a_burst_is_free_and_then_reading_slows_down() -> None:
    pace = Pace(per_s=100, burst=200)
    assert [pace.wait_s(100.0) for _ in range(200)] == [0.0] * 200
    assert pace.wait_s(100.0) == pytest.approx(0.01)
    assert pace.wait_s(102.0) == 0.0
