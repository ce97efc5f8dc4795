"""The runtime is killed with -9 while browsers listen: they are told, come again, and what they see is true."""

import json
import time
from typing import Any

import pytest
from stack import Stack
from stack.figures import Machine, tell
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from shoal.testing.suite import eventually

pytestmark = [pytest.mark.fault, pytest.mark.timeout(600)]

BROWSERS = 20
BACK_S = 10.0


async def test_browsers_come_back_and_find_what_stood(stack: Stack, size: int) -> None:
    command = {"command": "render", "id": "t1", "element": {"type": "text", "content": "Drawn"}}
    machine = Machine()
    away: list[float] = []
    for _ in range(size):
        browsers = [await _open(stack) for _ in range(BROWSERS)]
        (await stack.admin.client.post("/api/canvas/killed/commands", json=command)).raise_for_status()
        killed = time.monotonic()
        await stack.kill("agent-runtime")
        codes = {await _closed(browser) for browser in browsers}
        assert codes <= {1012, 1013, 1014}, codes
        await stack.start("agent-runtime", until_ready=False)
        again = await _come_again(stack)
        away.append(time.monotonic() - killed)
        assert (await _hear(again, "canvas_command"))["command"] == "reset"
        assert (await _hear(again, "canvas_command"))["element"]["content"] == "Drawn"
        await eventually(lambda: _counts_one(stack), within_s=12)
        await again.close()
    tell("runtime killed -9 under browsers", kills=size, recovery_s=max(away), used_by_others=machine.others)
    machine.hold(recovery_s=(max(away), BACK_S))


async def _open(stack: Stack) -> ClientConnection:
    url = f"ws{stack.url.removeprefix('http')}/ws"
    cookie = {"Cookie": stack.admin.cookie}
    return await connect(url, additional_headers=cookie, origin=stack.url, compression=None, proxy=None)  # type: ignore[arg-type]


async def _come_again(stack: Stack) -> ClientConnection:
    """Try as browsers do, until one is welcome."""
    opened: list[ClientConnection] = []

    async def is_welcome() -> bool:
        try:
            browser = await _open(stack)
            await _hear(browser, "connected")
        except (InvalidStatus, ConnectionClosed, OSError):
            return False
        opened.append(browser)
        return True

    await eventually(is_welcome, within_s=30)
    return opened[0]


async def _hear(browser: ClientConnection, kind: str) -> dict[str, Any]:
    while True:
        frame: dict[str, Any] = json.loads(await browser.recv())
        if frame["type"] == kind:
            return frame


async def _closed(browser: ClientConnection) -> int | None:
    try:
        while True:
            await browser.recv()
    except ConnectionClosed:
        return browser.close_code


async def _counts_one(stack: Stack) -> bool:
    """Sockets of the killed process count no more."""
    (web, *_) = await stack.admin.get("/api/channels")
    return (web["status"], web["sockets"]) == ("connected", 1)
