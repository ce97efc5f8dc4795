"""Pages of instances, as a browser sees them through the gateway, which names callers and nothing else."""

import asyncio
import re
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
import pytest_asyncio
from bot import MIB, Bot
from ssh_door import ADMIN, ALICE, Door, Place, refused
from test_tunnels import until_tunnels
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from shoal.identity import HEADER, Principal
from shoal.testing.suite import eventually
from shoal_events import ApiKeyRevoked, LoginEnded, UserDeleted, UserUpdated

NOBODY = Principal(source="203.0.113.7")


class Browser:
    """Asks as nobody, as whoever has nothing but a ticket does."""

    def __init__(self, door: Door, place: Place) -> None:
        self.door, self.place = door, place
        self.client = door.service.client(NOBODY)

    async def enter(self, path: str = "/control/", *, client: httpx.AsyncClient | None = None) -> str:
        """Get a ticket; returns the path that it opens."""
        answer = await (client or self.door.admin).get(self.place.url + path)
        assert answer.status_code == 307, answer.text
        return str(answer.headers["location"])

    async def socket(self, path: str, principal: Principal = NOBODY, **rest: Any) -> ClientConnection:
        headers = {HEADER.decode(): self.door.service.token(principal), "origin": "null"}
        url = self.door.service.url.replace("http", "ws") + path
        return await connect(url, additional_headers=headers, proxy=None, compression=None, **rest)

    async def until_refused(self, path: str, status: int = 401, *, within_s: float = 5) -> httpx.Response:
        seen: list[httpx.Response] = []

        async def holds() -> bool:
            seen[:] = [await self.client.get(path)]
            return seen[0].status_code == status

        await eventually(holds, lambda: seen, within_s=within_s)
        return seen[0]


@pytest_asyncio.fixture
async def browser(door: Door, bot: Bot, bot_place: Place) -> AsyncIterator[Browser]:
    await until_tunnels(bot_place, "active", "active")
    return Browser(door, bot_place)  # type: ignore[return-value]


async def test_a_page_is_entered_by_a_ticket_and_shown_as_the_instance_answers(browser: Browser) -> None:
    for kind in ("control", "desktop"):
        location = await browser.enter(f"/{kind}/a%2Fb%20c/b?c=%2F&d")
        assert re.fullmatch(rf"{browser.place.url}/{kind}/~[\w-]{{43}}/a%2Fb%20c/b\?c=%2F&d", location)
        answer = await browser.client.post(location, content=b"x" * 100_000, headers={"x-own": "1"})
        assert (answer.status_code, answer.headers["x-bot"]) == (200, "1")
        told = answer.json()
        assert (told["method"], told["target"], told["body"]) == ("POST", "/a%2Fb%20c/b?c=%2F&d", 100_000)
        assert told["headers"]["host"] == {"control": "localhost:8080", "desktop": "localhost:3000"}[kind]
        assert told["headers"]["x-own"] == "1"
        assert told["headers"]["x-forwarded-prefix"] == location.partition("/a%2F")[0]


async def test_a_page_is_told_nothing_of_who_asks(browser: Browser) -> None:
    location = await browser.enter()
    secrets = {
        "cookie": "shoal_session=secret",
        "authorization": "Bearer secret",
        "origin": "null",
        "referer": "http://secret/",
        "x-forwarded-for": "203.0.113.7",
        "x-real-ip": "203.0.113.7",
        "forwarded": "for=203.0.113.7",
        "connection": "keep-alive, x-other",
        "traceparent": "00-" + "1" * 32 + "-" + "1" * 16 + "-01",
    }
    told = (await browser.client.get(location, headers=secrets)).json()["headers"]
    assert not set(told) & {*secrets, HEADER.decode(), "x-request-id"} - {"connection"}
    assert "secret" not in str(told)


async def test_a_browser_is_told_nothing_that_touches_our_address(browser: Browser) -> None:
    answer = await browser.client.get(await browser.enter())
    assert not {"set-cookie", "clear-site-data", "www-authenticate"} & set(answer.headers)
    assert answer.headers.get_list("access-control-allow-origin") == ["*"]


async def test_redirections_stay_below_the_ticket(browser: Browser) -> None:
    location = await browser.enter()
    answer = await browser.client.get(location + "elsewhere")
    assert answer.headers["location"] == location + "login?next=%2F"
    for given, led in (
        ("http://localhost:8080/x", location + "x"),
        ("x", "x"),
        ("https://elsewhere.example/x", "https://elsewhere.example/x"),
        ("//elsewhere.example/x", "//elsewhere.example/x"),
        ("http://[", "http://["),
        (location + "x", location + "x"),
    ):
        answer = await browser.client.get(location + "elsewhere?" + given)
        assert answer.headers["location"] == led
    bare = await browser.client.get(location.rstrip("/"))
    assert (bare.status_code, bare.headers["location"]) == (307, location)


async def test_a_sandboxed_page_may_ask_its_own_instance_anything(browser: Browser) -> None:
    asked = {"origin": "null", "access-control-request-method": "PUT", "access-control-request-headers": "x-a,x-b"}
    answer = await browser.client.options(await browser.enter(), headers=asked)
    assert answer.status_code == 204
    assert answer.headers["access-control-allow-origin"] == "*"
    assert answer.headers["access-control-allow-methods"] == "PUT"
    assert answer.headers["access-control-allow-headers"] == "x-a,x-b"


async def test_large_answers_are_streamed_and_hanging_up_is_heard(browser: Browser, bot: Bot) -> None:
    location = await browser.enter()
    size = 0
    async with browser.client.stream("GET", location + "large") as answer:
        async for part in answer.aiter_raw():
            size += len(part)
    assert size == 64 * MIB
    tunnels = (await browser.place.status())["tunnels"]
    assert {one["service"]: one["bytes_transferred"] > 64 * MIB for one in tunnels} == {"vnc": False, "gateway": True}
    async with browser.client.stream("GET", location + "endless") as answer:
        assert await anext(answer.aiter_raw()) == b"data: 1\n\n"
    await bot.until_gone(1)


async def test_sockets_pass_messages_subprotocol_and_close_codes(browser: Browser, bot: Bot) -> None:
    location = await browser.enter("/desktop/websock%2Fify?token=%2F")
    async with await browser.socket(location, subprotocols=["binary", "other"]) as socket:  # type: ignore[list-item]
        assert socket.subprotocol == "binary"
        told = await socket.recv()
        assert "origin" not in str(told)
        assert '"host":"localhost:3000"' in str(told)
        assert '"target":"/websock%2Fify?token=%2F"' in str(told)
        for message in ("text", b"binary", b"x" * 500_000):
            await socket.send(message)
            assert await socket.recv() == message
        await socket.send("close 4321")
        with pytest.raises(ConnectionClosed) as closed:
            await socket.recv()
    assert closed.value.rcvd is not None
    assert (closed.value.rcvd.code, closed.value.rcvd.reason) == (4321, "as asked")
    socket = await browser.socket(location)
    await socket.close(4009, "bye")
    await bot.until_gone(1)
    assert (bot.said["code"], bot.said["reason"]) == (4009, "bye")


async def test_a_users_own_socket_needs_no_ticket_and_a_refusal_is_the_instances(browser: Browser) -> None:
    async with await browser.socket(f"{browser.place.url}/desktop/websockify", ADMIN) as socket:
        await socket.recv()
    with pytest.raises(InvalidStatus) as refusal:
        await browser.socket(f"{browser.place.url}/desktop/refused", ADMIN)
    assert (refusal.value.response.status_code, refusal.value.response.body) == (418, b"no")
    for principal, status in ((NOBODY, 401), (ALICE, 403)):
        with pytest.raises(InvalidStatus) as refusal:
            await browser.socket(f"{browser.place.url}/desktop/websockify", principal)
        assert refusal.value.response.status_code == status


async def test_entering_needs_a_user_who_may(browser: Browser) -> None:
    door, url = browser.door, browser.place.url
    refused(await browser.client.get(f"{url}/control/"), 401)
    refused(await door.alice.get(f"{url}/control/"), 403)
    refused(await door.stranger.get(f"{url}/control/"), 404)
    refused(await door.admin.get("/api/v1/instances/x/control/"), 400)
    refused(await browser.client.get(f"{url}/control/~{'x' * 43}/"), 401, "ticket_spent")
    refused(await browser.client.get(f"{url}/control/~/"), 401, "ticket_spent")


async def test_a_ticket_is_good_for_its_instance_and_its_two_paths_only(browser: Browser, make_place) -> None:
    another = await make_place(browser.door, number=2)
    ticket = (await browser.enter()).split("~")[1].rstrip("/")
    for kind in ("control", "desktop"):
        assert (await browser.client.get(f"{browser.place.url}/{kind}/~{ticket}/")).status_code == 200
        refused(await browser.client.get(f"{another.url}/{kind}/~{ticket}/"), 401)
    for path in ("", "/tunnels", "/ssh-status", f"/terminal/~{ticket}"):
        answer = await browser.client.get(f"{browser.place.url}{path}?ticket={ticket}")
        assert answer.status_code in {401, 404}
    rows = await browser.door.sql("select fingerprint, username from ticket")
    assert ticket not in str(rows)
    assert len(rows[0]["fingerprint"]) == 32


async def test_a_ticket_ends_with_what_it_was_got_by(browser: Browser) -> None:
    ended = [
        LoginEnded(login_id="login_1", account_id="acct_1", user_id="user_admin", reason="logout"),
        ApiKeyRevoked(key_id="login_1", account_id="acct_1", user_id="user_admin"),
        UserDeleted(user_id="user_admin", account_id="acct_1", version=9),
        UserUpdated(user_id="user_admin", account_id="acct_1", username="u", email="u@x", role="user", version=10),
    ]
    for event in ended:
        location = await browser.enter()
        assert (await browser.client.get(location)).status_code == 200
        await browser.door.tell(event)
        refused(await browser.until_refused(location), 401, "ticket_spent")


async def test_what_is_open_ends_within_five_seconds_of_losing_the_right(browser: Browser, bot: Bot) -> None:
    await browser.door.assign("user_alice", 1)

    async def may() -> bool:
        return (await browser.door.alice.get(f"{browser.place.url}/tunnels")).status_code == 200

    await eventually(may)
    location = await browser.enter("/desktop/", client=browser.door.alice)
    by_ticket = await browser.socket(location + "websockify")
    by_name = await browser.socket(f"{browser.place.url}/desktop/websockify", ALICE)
    for socket in (by_ticket, by_name):
        await socket.recv()
    async with browser.client.stream("GET", location + "endless") as answer:
        parts = answer.aiter_raw()
        await anext(parts)
        await browser.door.assign("user_alice", version=2)
        async with asyncio.timeout(5):
            for socket in (by_ticket, by_name):
                with pytest.raises(ConnectionClosed) as closed:
                    await socket.recv()
                assert closed.value.rcvd is not None
                assert closed.value.rcvd.code == 4401
            with pytest.raises(httpx.RemoteProtocolError):
                await anext(parts)
    refused(await browser.client.get(location), 401, "ticket_spent")
    await bot.until_gone(3)


async def test_a_ticket_of_a_deleted_instance_is_spent(browser: Browser) -> None:
    location = await browser.enter()
    await browser.place.delete()
    await browser.until_refused(location)
    assert not await browser.door.sql("select 1 from ticket")


async def test_a_ticket_lasts_from_its_last_use(open_door, bot: Bot, make_place) -> None:
    door = await open_door(SSH_MANAGER_TICKET_TTL="3s")
    browser = Browser(door, await make_place(door))
    await until_tunnels(browser.place, "active", "active")
    used, idle = await browser.enter(), await browser.enter()
    for _ in range(8):
        await asyncio.sleep(0.5)  # as somebody who looks at a page does
        assert (await browser.client.get(used)).status_code == 200
    refused(await browser.client.get(idle), 401, "ticket_spent")
    person = {"sec-fetch-mode": "navigate", "sec-fetch-dest": "document"}
    answer = await browser.client.get(idle, headers=person)
    assert (answer.status_code, answer.headers["location"]) == (307, f"{browser.place.url}/control/")


async def test_pages_may_be_reached_from_allowed_addresses_only(browser: Browser) -> None:
    location = await browser.enter()
    socket = await browser.socket(location)
    await socket.recv()
    rule = {"allowed_ips": "127.0.0.1"}
    assert (await browser.door.admin.put(f"{browser.place.url}/ssh-allowed-ips", json=rule)).status_code == 200
    with pytest.raises(ConnectionClosed):
        await asyncio.wait_for(socket.recv(), 5)
    assert socket.close_code == 4403
    refused(await browser.until_refused(location, 403), 403, "ip_restricted")
    assert (await browser.door.admin.get(f"{browser.place.url}/control/")).status_code == 307
    entry = await browser.door.until_entry("ip_restricted")
    assert entry["source_ip"] == "203.0.113.7"


async def test_an_instance_that_is_away_is_said_to_be(browser: Browser, bot: Bot) -> None:
    location = await browser.enter()
    way, bot.ways[8080] = bot.ways[8080], None
    refused(await browser.client.get(location), 502, "page_unreachable")
    with pytest.raises(InvalidStatus) as refusal:
        await browser.socket(location)
    assert refusal.value.response.status_code == 502
    bot.ways[8080] = way
    assert (await browser.client.get(location)).status_code == 200
    socket = await browser.socket(location)
    await socket.recv()
    await bot.cut()
    with pytest.raises(ConnectionClosed) as closed:
        await socket.recv()
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 1014
    await browser.until_refused(location, 503)


async def test_tickets_stand_in_no_log(browser: Browser, capfd: pytest.CaptureFixture[str]) -> None:
    location = await browser.enter()
    ticket = location.split("~")[1].rstrip("/")
    await browser.client.get(location)
    await browser.client.get(location + "elsewhere")
    async with await browser.socket(location) as socket:
        await socket.recv()
    logged = "".join(capfd.readouterr())
    assert ticket not in logged
