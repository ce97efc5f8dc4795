"""WebSocket frames through the gateway beside the same upstream reached directly: an echo of 300 bytes."""

import asyncio
import time
from statistics import median

from bench.gateway_http import put_behind
from bench.processes import BACK, FRONT, cpu_seconds, pin, upstream
from bench.rows import Row, Scale, bench_stack
from bench.wire import Wire, frame
from shoal_embedded.ports import LOOPBACK, free_port

CONNECTIONS, IN_FLIGHT, SIZE = 10, 16, 300
BAR = 0.4
PATH = "/ws"


async def run(scale: Scale) -> list[Row]:
    """Echo directly and through the gateway, in turn."""
    target = free_port()
    direct: list[float] = []
    through: list[float] = []
    async with bench_stack(SHOAL_TRACE_RATIO="0.01") as stack, upstream(target) as behind:
        await put_behind(stack, target)
        gateway, busy = stack.process("gateway").pid, 0.0
        pin(gateway, BACK)
        url = f"ws{stack.url.removeprefix('http')}{PATH}"
        for _ in range(scale.rounds):
            pin(behind, BACK)
            direct.append(await echoes(f"ws://{LOOPBACK}:{target}{PATH}", scale.seconds))
            pin(behind, FRONT)
            before_s = cpu_seconds(gateway)
            through.append(await echoes(url, scale.seconds))
            busy += cpu_seconds(gateway) - before_s
    ratio = median(through) / median(direct)
    reached = f"{median(through):,.0f} echoes/s ({sum(through) * scale.seconds / busy:,.0f} by CPU-second)"
    what = f"gateway WebSocket: {SIZE}-byte text, {CONNECTIONS} sockets, {IN_FLIGHT} in flight each"
    return [Row(what, reached, f"upstream directly {median(direct):,.0f} echoes/s", ratio, f"≥ {BAR}", ratio >= BAR)]


async def echoes(url: str, seconds: float) -> float:
    """Keep some messages in flight on each of some sockets; returns echoes by second."""
    counts = [0]
    message = frame(b"x" * SIZE)
    wires: list[Wire] = []

    def answering(number: int) -> None:
        counts[0] += 1
        wires[number].transport.write(message)

    wires += [await Wire.open(url, lambda _, n=number: answering(n)) for number in range(CONNECTIONS)]
    started = time.monotonic()
    for wire in wires:
        wire.transport.write(message * IN_FLIGHT)
    await asyncio.sleep(seconds)
    rate = counts[0] / (time.monotonic() - started)
    for wire in wires:
        wire.close()
    assert rate > 0, "nothing came back"
    return rate
