"""The gateway beside the upstream reached directly, traefik and caddy: an authenticated GET of 200 bytes."""

import asyncio
import contextlib
import socket
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path
from statistics import median

import msgspec
from msgspec import Struct
from stack import Stack

from bench.load import Load, wrk
from bench.processes import BACK, FRONT, caddy, cpu_seconds, pin, traefik, upstream
from bench.rows import Row, Scale, bench_stack
from shoal_embedded.ports import LOOPBACK, free_port

PATH = "/api/bench"
"""A path of agent-runtime, whose place the upstream takes: it may stream, and needs a user."""
MANY, SLOW = 64, 200
FEW, CALM = 8, 0.1
BAR, ADDED_MS, MOVED = 0.45, 0.15, 1.2


class Contestant(Struct):
    """Somebody who answers, and what they reached round by round."""

    pid: int
    url: str
    many: list[Load] = []
    single: list[Load] = []
    answers: float = 0
    busy_s: float = 0

    @property
    def rate(self) -> float:
        """Requests a second with many callers."""
        return median(load.rate for load in self.many)

    @property
    def p50_ms(self) -> float:
        """What one caller alone waits."""
        return median(load.p50_ms for load in self.single)

    @property
    def told(self) -> str:
        """The rate, and what it would be if nobody else used its core."""
        return f"{self.rate:,.0f} req/s ({self.answers / self.busy_s:,.0f} by CPU-second)"

    async def answer(self, scale: Scale, key: str) -> None:
        """Go through one round."""
        before, header = cpu_seconds(self.pid), {"Authorization": f"Bearer {key}"}
        load = await wrk(self.url, connections=MANY, seconds=scale.seconds, **header)
        assert not load.errors, f"{load.errors} errors at {self.url}"
        self.busy_s += cpu_seconds(self.pid) - before
        self.answers += load.rate * max(1, round(scale.seconds))
        self.many.append(load)
        self.single.append(await wrk(self.url, connections=1, seconds=scale.seconds / 2, **header))


async def run(scale: Scale) -> list[Row]:
    """Measure all four in turn, round by round, so that what the machine does beside hits them alike."""
    async with standing() as (stack, contestants):
        key, direct = await stack.admin.create_key(), contestants["direct"]
        for _ in range(scale.rounds):
            for one in contestants.values():
                pin(direct.pid, BACK if one is direct else FRONT)
                await one.answer(scale, key)
        before, during = await beside_slow_readers(contestants["gateway"], key, scale)
    return [*_rates(contestants), _added(contestants), _moved(before, during)]


@contextlib.asynccontextmanager
async def standing() -> AsyncIterator[tuple[Stack, dict[str, Contestant]]]:
    """Run the gateway and its peers in front of one upstream.

    A proxy has a core for itself, upstream and load share the other; reached directly, the upstream has the first.
    """
    target = free_port()
    with tempfile.TemporaryDirectory(prefix="shoal-peers-") as folder:
        async with bench_stack(SHOAL_TRACE_RATIO="0.01") as stack, upstream(target, FRONT) as behind:
            await put_behind(stack, target)
            gateway = stack.process("gateway").pid
            pin(gateway, BACK)
            async with traefik(Path(folder), target, BACK) as other, caddy(Path(folder), target, BACK) as third:
                yield (
                    stack,
                    {
                        "direct": Contestant(behind, f"http://{LOOPBACK}:{target}{PATH}"),
                        "gateway": Contestant(gateway, stack.url + PATH),
                        "traefik": Contestant(other.pid, f"http://{LOOPBACK}:{other.port}{PATH}"),
                        "caddy": Contestant(third.pid, f"http://{LOOPBACK}:{third.port}{PATH}"),
                    },
                )


async def put_behind(stack: Stack, target: int) -> None:
    """Tell the gateway that the upstream is agent-runtime."""
    places = msgspec.json.decode(stack.suite.environment["SHOAL_SERVICES"]) | {"agent-runtime": f"{LOOPBACK}:{target}"}
    stack.suite.environment["SHOAL_SERVICES"] = msgspec.json.encode(places).decode()
    await stack.stop("gateway")
    await stack.start("gateway")


async def beside_slow_readers(gateway: Contestant, key: str, scale: Scale) -> tuple[list[Load], list[Load]]:
    """Measure a few callers without and with 200 readers who hardly read their streams."""
    header = {"Authorization": f"Bearer {key}"}
    before: list[Load] = []
    during: list[Load] = []
    for _ in range(scale.rounds):
        before.append(await wrk(gateway.url, connections=FEW, seconds=scale.seconds, **header))
        async with slow_readers(gateway.url, key):
            await until_calm(gateway.pid)
            during.append(await wrk(gateway.url, connections=FEW, seconds=scale.seconds, **header))
    return before, during


async def until_calm(pid: int) -> None:
    """Wait until buffers are full and the streams stand still."""
    async with asyncio.timeout(60):
        used = 1.0
        while used > CALM:
            before = cpu_seconds(pid)
            await asyncio.sleep(1)
            used = cpu_seconds(pid) - before


@contextlib.asynccontextmanager
async def slow_readers(url: str, key: str) -> AsyncIterator[None]:
    """Open 200 streams that are read at about 2 kB a second each."""
    host, _, port = url.removeprefix("http://").partition("/")[0].partition(":")
    request = f"GET {PATH}/stream HTTP/1.1\r\nHost: {host}:{port}\r\nAuthorization: Bearer {key}\r\n\r\n".encode()
    loop = asyncio.get_running_loop()
    ends: list[socket.socket] = []
    for _ in range(SLOW):
        end = socket.socket()
        end.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        end.setblocking(False)
        await loop.sock_connect(end, (host, int(port)))
        await loop.sock_sendall(end, request)
        ends.append(end)

    async def read() -> None:
        while True:
            await asyncio.sleep(0.5)
            for end in ends:
                with contextlib.suppress(BlockingIOError):
                    end.recv(1024)

    reading = asyncio.ensure_future(read())
    try:
        yield
    finally:
        reading.cancel()
        for end in ends:
            end.close()


def _rates(all_four: dict[str, Contestant]) -> list[Row]:
    gateway, direct = all_four["gateway"], all_four["direct"]
    ratio = gateway.rate / direct.rate
    what = f"gateway: authenticated 200-byte GET, c={MANY}, its own core"
    first = Row(what, gateway.told, f"upstream directly {direct.told}", ratio, f"≥ {BAR}", ratio >= BAR)
    return [
        first,
        *(
            Row(
                f"the same by {peer}, one core, no authentication", all_four[peer].told, f"gateway {gateway.told}",
                gateway.rate / all_four[peer].rate, f"gateway ahead of {peer}", gateway.rate > all_four[peer].rate,
            )
            for peer in ("traefik", "caddy")
        ),
    ]  # fmt: skip


def _added(all_four: dict[str, Contestant]) -> Row:
    added = all_four["gateway"].p50_ms - all_four["direct"].p50_ms
    others = ", ".join(f"{name} {all_four[name].p50_ms:.3f}" for name in ("direct", "traefik", "caddy"))
    return Row(
        "gateway: p50 at c=1", f"{all_four['gateway'].p50_ms:.3f} ms", f"{others} ms", None,
        f"direct + {ADDED_MS} ms (is + {added:.3f})", added <= ADDED_MS,
    )  # fmt: skip


def _moved(before: list[Load], during: list[Load]) -> Row:
    was, now = median(load.p99_ms for load in before), median(load.p99_ms for load in during)
    return Row(
        f"gateway: p99 at c={FEW} beside {SLOW} slow SSE readers", f"{now:.2f} ms", f"without them {was:.2f} ms",
        now / was, f"≤ {MOVED}", now / was <= MOVED,
    )  # fmt: skip
