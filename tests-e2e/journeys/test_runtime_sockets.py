"""Browsers and programs at the runtime's sockets, through the gateway: who is let in, what is heard, how it ends."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

import httpx
import pytest
import pytest_asyncio
from stack import Account, Stack
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from shoal.testing.suite import eventually

DRAW = '/tool render_ui {"command":"render","id":"t1","element":{"type":"text","content":"Drawn"}}'
DELEGATE = '/tool delegate_task {"task":"Format this: {\\"a\\":1}","tool_name":"format-json"}'


class Page:
    """One socket, and everything that was heard on it."""

    def __init__(self, connection: ClientConnection) -> None:
        self.connection = connection
        self.heard: list[dict[str, Any]] = []

    async def say(self, **frame: Any) -> None:
        await self.connection.send(json.dumps(frame))

    async def until(self, kind: str, **fields: Any) -> dict[str, Any]:
        """Wait for a frame of a type with these fields."""
        async with asyncio.timeout(10):
            while True:
                frame = json.loads(await self.connection.recv())
                self.heard.append(frame)
                if frame["type"] == kind and all(frame.get(name) == value for name, value in fields.items()):
                    return frame

    async def closed(self, within_s: float = 6) -> int | None:
        """Wait until the other side closes; returns the code."""
        with contextlib.suppress(ConnectionClosed):
            async with asyncio.timeout(within_s):
                while True:
                    await self.connection.recv()
        return self.connection.close_code


@contextlib.asynccontextmanager
async def page(stack: Stack, path: str = "/ws", **options: Any) -> AsyncIterator[Page]:
    """Open a socket through the gateway."""
    url = f"ws{stack.url.removeprefix('http')}{path}"
    async with connect(url, compression=None, proxy=None, **options) as connection:
        yield Page(connection)


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def owner(stack: Stack) -> Account:
    """An account with its first agent."""
    account = await stack.open_account(f"runtime-{uuid4().hex[:8]}")

    async def has_an_agent() -> bool:
        return bool(await account.get("/api/agents"))

    await eventually(has_an_agent, within_s=10)
    return account


def by_cookie(stack: Stack, account: Account) -> dict[str, Any]:
    """What a browser sends by itself."""
    return {"additional_headers": {"Cookie": account.cookie}, "origin": stack.url}


async def begin(account: Account) -> str:
    answer = await account.client.post("/api/sessions", json={})
    assert answer.status_code == 201, answer.text
    key: str = answer.json()["key"]
    return key


async def ask(account: Account, key: str, content: str) -> None:
    answer = await account.client.post(f"/api/sessions/{key}/messages", json={"content": content})
    assert answer.status_code == 200, answer.text


async def test_each_of_the_five_topics_is_seen_live(stack: Stack, owner: Account) -> None:
    key = await begin(owner)
    (agent, *_) = await owner.get("/api/agents")
    async with page(stack, **by_cookie(stack, owner)) as browser:
        await browser.until("connected")
        topics = ("agent:status", "chat:message", "canvas:update", "pipeline:stage", "delegation:update")
        for topic in topics:
            await browser.say(type="subscribe", topic=topic)
            await browser.until("subscribed", topic=topic)
        await ask(owner, key, DRAW)
        await browser.until("chat:message", role="assistant")
        await ask(owner, key, DELEGATE)
        await browser.until("chat:message", role="assistant")
        for verb in ("stop", "start"):
            assert (await owner.client.post(f"/api/agents/{agent['id']}/{verb}")).json() == {"ok": True}
        await browser.until("agent:status", agentId=agent["id"], status="running")
        seen = {frame["topic"]: frame for frame in browser.heard if "topic" in frame and "data" in frame}
        assert set(topics) <= set(seen)
        assert seen["canvas:update"]["data"]["element"]["content"] == "Drawn"
        assert seen["canvas:update"]["command"] == "render"
        assert set(seen["pipeline:stage"]["data"]) >= {"taskId", "stage", "status", "durationMs"}
        assert set(seen["delegation:update"]["data"]) >= {"task_id", "session_key", "target", "status", "complexity"}


async def test_page_of_the_web_ui_lives_by_its_cookie_alone(stack: Stack, owner: Account) -> None:
    key = await begin(owner)
    token = (await owner.client.post("/api/auth/token")).json()["token"]
    async with httpx.AsyncClient(base_url=stack.url, trust_env=False) as reloaded:
        reloaded.cookies.update({name: value for name, value in owner.client.cookies.items() if value == token})
        browser = {"additional_headers": {"Cookie": _header(reloaded)}, "origin": stack.url}
        async with page(stack, **browser) as silent, page(stack, **browser) as chat:
            await silent.until("connected")
            await silent.until("channel_status", name="web", status="connected")
            await chat.say(type="subscribe", topic=f"session:{key}")
            await chat.until("subscribed")
            asked = reloaded.post(
                f"/api/sessions/{key}/messages", json={"content": "Hello"}, headers={"authorization": f"Bearer {token}"}
            )
            answer, _ = await asyncio.gather(asked, chat.until("stream_done"))
            assert answer.status_code == 200
            chunks = [frame["content"] for frame in chat.heard if frame["type"] == "stream_chunk"]
            assert "".join(chunks) == answer.json()["content"]
            await silent.say(type="ping")
            await silent.until("pong")
            assert not [frame for frame in silent.heard if frame["type"] in {"stream_chunk", "stream_done"}]


async def test_web_ui_that_was_given_a_token_alone_gets_its_cookie_and_hears_events(
    stack: Stack, owner: Account
) -> None:
    key = await begin(owner)
    token = (await owner.client.post("/api/auth/token")).json()["token"]
    bearer = {"authorization": f"Bearer {token}"}
    async with httpx.AsyncClient(base_url=stack.url, trust_env=False, headers=bearer) as opened:
        await opened.get("/api/agents")
        browser = {"additional_headers": {"Cookie": _header(opened)}, "origin": stack.url}
        async with page(stack, **browser) as shown:
            await shown.until("connected")
            await ask(owner, key, DRAW)
            drawn = await shown.until("event", topic="canvas")
            while drawn["data"].get("canvas_id") != key:
                drawn = await shown.until("event", topic="canvas")
            assert drawn["data"]["type"] == "canvas_command"
            assert drawn["data"]["element"]["content"] == "Drawn"
            told = await opened.post("/api/voice/status", json={"state": "listening", "talkModeActive": True})
            assert told.json()["state"] == "listening"
            assert (await shown.until("event", topic="voice:status"))["data"] == {"state": "listening"}


async def test_token_is_taken_from_subprotocol_bearer_and_first_frame(stack: Stack, owner: Account) -> None:
    token = (await owner.client.post("/api/auth/token")).json()["token"]
    ways: tuple[dict[str, Any], ...] = (
        {"subprotocols": ["bearer", token]},
        {"additional_headers": {"Authorization": f"Bearer {token}"}},
    )
    for way in ways:
        async with page(stack, **way) as program:
            await program.until("connected")
            assert program.connection.subprotocol == ("bearer" if "subprotocols" in way else None)
    async with page(stack) as program:
        await program.say(type="auth", token=token)
        await program.until("auth_success")
        await program.until("connected")


async def test_who_proves_nothing_is_let_in_nowhere(stack: Stack, owner: Account) -> None:
    refusals: tuple[tuple[int, dict[str, Any]], ...] = (
        (401, {"subprotocols": ["bearer", "clawft_nobody"]}),
        (401, {"additional_headers": {"Authorization": "Bearer clawft_nobody"}}),
        (403, {"additional_headers": {"Cookie": owner.cookie}}),
        (403, {"additional_headers": {"Cookie": owner.cookie}, "origin": "https://evil.example"}),
    )
    for status, way in refusals:
        for path in ("/ws", "/ws/canvas", "/ws/chat/s1"):
            with pytest.raises(InvalidStatus) as refused:
                await connect(f"ws{stack.url.removeprefix('http')}{path}", proxy=None, **way)
            assert refused.value.response.status_code == status
    async with page(stack) as silent, page(stack) as liar, page(stack) as babbler:
        await liar.say(type="auth", token="clawft_nobody")
        assert await liar.closed() == 4401
        await babbler.connection.send("{")
        assert await babbler.closed() == 4400
        assert await silent.closed(within_s=8) == 4408


async def test_close_codes_and_limits_pass_the_gateway(stack: Stack, owner: Account) -> None:
    async with page(stack, "/ws/chat/nowhere", **by_cookie(stack, owner)) as chat:
        assert await chat.closed() == 4404
    async with page(stack, **by_cookie(stack, owner)) as browser:
        await browser.until("connected")
        await browser.connection.send("x" * 70_000)
        assert await browser.closed() == 1009


async def test_logout_ends_sockets_within_five_seconds(stack: Stack, owner: Account) -> None:
    leaving = stack.client()
    signed_in = await leaving.post("/api/v1/auth/login", json=await _second_user(owner))
    signed_in.raise_for_status()
    account = Account(leaving, stack)
    async with page(stack, **by_cookie(stack, account)) as browser, page(stack, **by_cookie(stack, owner)) as other:
        await browser.until("connected")
        await other.until("connected")
        (await leaving.post("/api/v1/auth/logout", headers={"Origin": stack.url})).raise_for_status()
        assert await browser.closed(within_s=5) == 4401
        await other.say(type="ping")
        await other.until("pong")


async def test_other_accounts_hear_and_reach_nothing(stack: Stack, owner: Account) -> None:
    key = await begin(owner)
    async with page(stack, **by_cookie(stack, stack.admin)) as stranger:
        await stranger.until("connected")
        for topic in ("*", f"session:{key}", "canvas"):
            await stranger.say(type="subscribe", topic=topic)
        await stranger.say(type="message", session_key=key, content="Hello")
        assert (await stranger.until("error"))["code"] == "session_not_found"
        await stranger.say(type="cancel", session_key=key)
        assert (await stranger.until("error"))["code"] == "session_not_found"
        before = len(stranger.heard)
        await ask(owner, key, DRAW)
        await stranger.say(type="ping")
        await stranger.until("pong")
        assert {frame["type"] for frame in stranger.heard[before:]} <= {"pong", "channel_status"}
    async with page(stack, f"/ws/chat/{key}", **by_cookie(stack, stack.admin)) as chat:
        assert await chat.closed() == 4404


async def _second_user(owner: Account) -> dict[str, str]:
    user = {"username": f"second-{uuid4().hex[:8]}", "password": "another correct horse"}
    answer = await owner.client.post("/api/v1/users", json=user | {"role": "user"})
    assert answer.is_success, answer.text
    return user


def _header(client: httpx.AsyncClient) -> str:
    return "; ".join(f"{name}={value}" for name, value in client.cookies.items())
