"""The gateway beside the upstream reached directly, traefik and caddy: an authenticated GET of 200 bytes."""

import asyncio
import contextlib
import socket
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path
from statistics import median

import msgspec
from stack import Stack

from bench.load import Load, wrk
from bench.processes import BACK, FRONT, caddy, cpu_seconds, pin, traefik, upstream
from bench.rows import Row, Scale, bench_stack
from shoal_embedded.ports import LOOPBACK, free_port

PATH = "/api/bench"
"""A path of agent-runtime, whose place the upstream takes: it may stream, and needs a user."""
MANY, SLOW = 64, 200
FEW = 8
BAR, ADDED_MS, MOVED = 0.45, 0.15, 1.2


async def run(scale: Scale) -> list[Row]:
    """Measure all four in turn, round by round, so that what the machine does beside hits them alike."""
    async with standing() as (stack, behind, urls):
        key = await stack.admin.create_key()
        header = {"Authorization": f"Bearer {key}"}
        many: dict[str, list[Load]] = {name: [] for name in urls}
        single: dict[str, list[Load]] = {name: [] for name in urls}
        gateway, busy = stack.process("gateway").pid, 0.0
        for _ in range(scale.rounds):
            for name, url in urls.items():
                pin(behind, BACK if name == "direct" else FRONT)
                before_s = cpu_seconds(gateway)
                many[name].append(await wrk(url, connections=MANY, seconds=scale.seconds, **header))
                busy += cpu_seconds(gateway) - before_s if name == "gateway" else 0
                single[name].append(await wrk(url, connections=1, seconds=scale.seconds / 2, **header))
        before, during = await beside_slow_readers(urls["gateway"], key, scale)
    assert not sum(load.errors for loads in many.values() for load in loads), many
    asked = sum(load.rate * max(1, round(scale.seconds)) for load in many["gateway"])
    return [*_rates(many, asked / busy), _added(single), _moved(before, during)]


@contextlib.asynccontextmanager
async def standing() -> AsyncIterator[tuple[Stack, int, dict[str, str]]]:
    """Run the gateway and its peers in front of one upstream; yields its process id, and everybody's URL by name.

    A proxy has a core for itself, upstream and load share the other; reached directly, the upstream has the first.
    """
    target = free_port()
    with tempfile.TemporaryDirectory(prefix="shoal-peers-") as folder:
        async with bench_stack(SHOAL_TRACE_RATIO="0.01") as stack, upstream(target, FRONT) as behind:
            await put_behind(stack, target)
            pin(stack.process("gateway").pid, BACK)
            async with traefik(Path(folder), target, BACK) as other, caddy(Path(folder), target, BACK) as third:
                ports = {"direct": target, "traefik": other, "caddy": third}
                urls = {"gateway": stack.url + PATH}
                yield stack, behind, urls | {name: f"http://{LOOPBACK}:{port}{PATH}" for name, port in ports.items()}


async def put_behind(stack: Stack, target: int) -> None:
    """Tell the gateway that the upstream is agent-runtime."""
    places = msgspec.json.decode(stack.suite.environment["SHOAL_SERVICES"]) | {"agent-runtime": f"{LOOPBACK}:{target}"}
    stack.suite.environment["SHOAL_SERVICES"] = msgspec.json.encode(places).decode()
    await stack.stop("gateway")
    await stack.start("gateway")


async def beside_slow_readers(url: str, key: str, scale: Scale) -> tuple[list[Load], list[Load]]:
    """Measure a few callers without and with 200 readers who hardly read their streams."""
    header = {"Authorization": f"Bearer {key}"}
    before: list[Load] = []
    during: list[Load] = []
    for _ in range(scale.rounds):
        before.append(await wrk(url, connections=FEW, seconds=scale.seconds, **header))
        async with slow_readers(url, key):
            await asyncio.sleep(2)
            during.append(await wrk(url, connections=FEW, seconds=scale.seconds, **header))
    return before, during


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


def _rates(many: dict[str, list[Load]], by_cpu: float) -> list[Row]:
    rate = {name: median(load.rate for load in loads) for name, loads in many.items()}
    ratio = rate["gateway"] / rate["direct"]
    rows = [
        Row(
            "gateway: authenticated 200-byte GET, c=64, its own core",
            f"{rate['gateway']:,.0f} req/s ({by_cpu:,.0f} by CPU-second)",
            f"upstream directly {rate['direct']:,.0f} req/s",
            ratio,
            f"≥ {BAR}",
            ratio >= BAR,
        )
    ]
    rows += [
        Row(
            f"the same by {peer}, one core, no authentication",
            f"{rate[peer]:,.0f} req/s",
            f"gateway {rate['gateway']:,.0f} req/s",
            rate["gateway"] / rate[peer],
            f"gateway ahead of {peer}",
            rate["gateway"] > rate[peer],
        )
        for peer in ("traefik", "caddy")
    ]
    return rows


def _added(single: dict[str, list[Load]]) -> Row:
    p50 = {name: median(load.p50_ms for load in loads) for name, loads in single.items()}
    added = p50["gateway"] - p50["direct"]
    others = ", ".join(f"{name} {p50[name]:.3f}" for name in ("direct", "traefik", "caddy"))
    return Row(
        "gateway: p50 at c=1", f"{p50['gateway']:.3f} ms", f"{others} ms", None,
        f"direct + {ADDED_MS} ms (is + {added:.3f})", added <= ADDED_MS,
    )  # fmt: skip


def _moved(before: list[Load], during: list[Load]) -> Row:
    was, now = median(load.p99_ms for load in before), median(load.p99_ms for load in during)
    return Row(
        f"gateway: p99 at c={FEW} beside {SLOW} slow SSE readers", f"{now:.2f} ms", f"without them {was:.2f} ms",
        now / was, f"≤ {MOVED}", now / was <= MOVED,
    )  # fmt: skip
