"""One process of the runtime shows frames to many browsers; one of them stops reading."""

import asyncio
import json
import time
from statistics import median

from nats.aio.client import Client
from stack import Stack
from stack.figures import percentile

from bench.processes import cpu_seconds
from bench.rows import Row, Scale, bench_stack
from bench.wire import Wire, frame
from shoal.identity import HEADER, Principal, Role, Via

ACCOUNT, SUBJECT = "acct_bench", "shoal.frames.acct_bench"
BROWSERS = 200
RATES = (50, 100, 150, 200, 300, 400, 600)
CALM, FLOOD = 50, 2500
STALLED_CHUNK = "x" * 4000
MOVED = 1.2


class Browser:
    """A socket that counts what it is shown, and tells how old it was."""

    def __init__(self) -> None:
        self.frames = 0
        self.ages: list[float] = []
        self.wire: Wire

    def hear(self, message: bytes) -> None:
        """Take a frame."""
        self.frames += 1
        at = message.find(b'"content":"')
        if at > 0 and message[at + 11 : at + 13] == b"17":
            self.ages.append(time.time() - float(message[at + 11 : message.index(b'"', at + 11)]))


async def run(scale: Scale) -> list[Row]:
    """Raise the rate until deliveries no longer follow; then look at delays with and without a stalled reader."""
    async with bench_stack(AGENT_RUNTIME_SOCKETS_PER_USER="1000") as stack, stack.nats() as nats:
        browsers = [await listening(stack, "session:bench") for _ in range(BROWSERS)]
        best, by_cpu, offered = 0.0, 0.0, 0.0
        for rate in RATES:
            delivered, busy = await deliveries(stack, nats, browsers, rate, scale.seconds)
            if delivered > best:
                best, by_cpu, offered = delivered, delivered / busy, rate * BROWSERS
            if delivered < 0.8 * rate * BROWSERS:
                break
        await settled(browsers)
        calm, stalled = [], []
        for _ in range(scale.rounds):
            calm.append(await delays(nats, browsers, scale.seconds))
            victim = await listening(stack, "session:stalled")
            victim.wire.transport.pause_reading()
            flood = asyncio.ensure_future(flooding(nats))
            stalled.append(await delays(nats, browsers, scale.seconds))
            flood.cancel()
            victim.wire.close()
        for browser in browsers:
            browser.wire.close()
    beside, alone = median(p99 for _, p99 in stalled), median(p99 for _, p99 in calm)
    return [
        Row(
            f"runtime: frames from one process to {BROWSERS} browsers",
            f"{best:,.0f} deliveries/s ({by_cpu:,.0f} by CPU-second)",
            f"offered {offered:,.0f}/s",
            best / offered,
        ),
        Row(
            f"runtime: a token from another process to {BROWSERS} browsers, p50",
            f"{median(p50 for p50, _ in calm) * 1000:.1f} ms",
            f"at {CALM} tokens/s; p99 {alone * 1000:.1f} ms",
        ),
        Row(
            "runtime: others' p99 while one browser has stalled",
            f"{beside * 1000:.1f} ms",
            f"without {alone * 1000:.1f} ms",
            beside / alone,
            f"< {MOVED}",
            beside / alone < MOVED,
        ),
    ]


async def listening(stack: Stack, topic: str) -> Browser:
    """Open a browser's socket straight at the runtime, and subscribe."""
    browser = Browser()
    who = Principal(via=Via.SESSION, account_id=ACCOUNT, user_id="user_bench", role=Role.USER, credential_id="bench")
    identity = stack.issuer("gateway").issue(who, audience="agent-runtime")
    url = f"ws{stack.direct_url('agent-runtime').removeprefix('http')}/ws"
    browser.wire = await Wire.open(url, browser.hear, {HEADER.decode(): identity})
    await browser.wire.write(frame(json.dumps({"type": "subscribe", "topic": topic}).encode()))
    async with asyncio.timeout(20):
        while browser.frames < 2:  # connected, subscribed
            await asyncio.sleep(0.01)
    return browser


async def deliveries(
    stack: Stack, nats: Client, browsers: list[Browser], rate: float, seconds: float
) -> tuple[float, float]:
    """Tell how many frames a second arrive, and how much of a core the runtime took."""
    pid = stack.process("agent-runtime").pid
    work = asyncio.ensure_future(tokens(nats, rate))
    await asyncio.sleep(1)
    before, busy, started = sum(b.frames for b in browsers), cpu_seconds(pid), time.monotonic()
    await asyncio.sleep(seconds)
    took = time.monotonic() - started
    work.cancel()
    return (sum(b.frames for b in browsers) - before) / took, (cpu_seconds(pid) - busy) / took


async def settled(browsers: list[Browser]) -> None:
    """Wait until nothing is on its way any more."""
    before = -1
    while before != (now := sum(browser.frames for browser in browsers)):
        before = now
        await asyncio.sleep(0.5)


async def delays(nats: Client, browsers: list[Browser], seconds: float) -> tuple[float, float]:
    """Tell p50 and p99 of how long tokens are on their way."""
    work = asyncio.ensure_future(tokens(nats, CALM))
    await asyncio.sleep(1)
    for browser in browsers:
        browser.ages.clear()
    await asyncio.sleep(seconds)
    work.cancel()
    ages = [age for browser in browsers for age in browser.ages]
    return percentile(ages, 0.5), percentile(ages, 0.99)


async def tokens(nats: Client, rate: float) -> None:
    """Publish tokens that carry the time of publishing, as another process of the runtime does."""
    due = time.monotonic()
    while True:
        due += 1 / rate
        await say(nats, "session:bench", f"{time.time():.6f}")
        await asyncio.sleep(max(0, due - time.monotonic()))


async def flooding(nats: Client) -> None:
    """Say so much to a session that no buffer on the way to its reader has room left, then a little for ever."""
    for number in range(1_000_000):
        await say(nats, "session:stalled", STALLED_CHUNK)
        await asyncio.sleep(0.0005 if number < FLOOD else 0.1)


async def say(nats: Client, topic: str, content: str) -> None:
    """Publish one frame."""
    told = {"account_id": ACCOUNT, "topic": topic, "type": "stream_chunk", "data": {"content": content}}
    await nats.publish(SUBJECT, json.dumps(told).encode())
