"""`python tests-e2e/bench`: measure, and print one table.

Everything runs on loopback of this machine, bounded in time: all benches take about ten minutes, `--quick` about
three. Figures of a busy machine are worth little; every row names what it is compared with in the same run.
"""

import argparse
import os
import platform
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from statistics import median

sys.path[0] = str(Path(__file__).resolve().parents[1])

import psutil  # noqa: E402
import uvloop  # noqa: E402
from stack.figures import Machine, table  # noqa: E402

from bench import (  # noqa: E402
    agent_pairings,
    fan_out,
    fleet,
    freshness,
    gateway_http,
    gateway_sockets,
    ingest,
    instances,
    outbox,
    query,
    runtime_rest,
    runtime_sockets,
    ssh,
    tunnels,
    turns,
    up,
)
from bench.processes import MissingError  # noqa: E402
from bench.rows import HEAD, Row, Scale  # noqa: E402

BENCHES: dict[str, Callable[[Scale], Awaitable[list[Row]]]] = {
    "gateway": gateway_http.run,
    "sockets": gateway_sockets.run,
    "ingest": ingest.run,
    "fresh": freshness.run,
    "fan-out": fan_out.run,
    "query": query.run,
    "turns": turns.run,
    "runtime-rest": runtime_rest.run,
    "runtime-sockets": runtime_sockets.run,
    "outbox": outbox.run,
    "pairings": agent_pairings.run,
    "instances": instances.run,
    "ssh": ssh.run,
    "tunnels": tunnels.run,
    "up": up.run,
    "fleet": fleet.run,
}
EXCHANGES = 5000
LONG = frozenset({"fleet"})
"""Runs only when it is asked for: ten minutes by itself."""


def main() -> int:
    """Run what was asked for; 0 when every bench could be run, whatever it found."""
    arguments = parse()
    scale = Scale(seconds=arguments.seconds, rounds=arguments.rounds, quick=arguments.quick)
    if arguments.quick:
        scale = Scale(seconds=2.0, rounds=1, quick=True)
    rows, failures, used, paces, exchanges = [], 0, Machine(), [pace_ms()], [exchange_us()]
    for name in arguments.benches or [bench for bench in BENCHES if bench not in LONG]:
        started = time.monotonic()
        print(f"{name} …", flush=True)
        try:
            measured = uvloop.run(BENCHES[name](scale))
        except (MissingError, AssertionError, OSError, RuntimeError, TimeoutError, ExceptionGroup) as error:
            failures += 1
            measured = [Row(f"{name}: could not be measured", f"{type(error).__name__}: {error}"[:200])]
        rows += measured
        for row in measured:
            print(f"  {row.what}: {row.reached} ({row.ceiling}) {'' if row.holds is not False else 'BAR MISSED'}")
        paces.append(pace_ms())
        exchanges.append(exchange_us())
        print(
            f"  {time.monotonic() - started:.0f} s; a million additions: {paces[-2]:.0f} ms, then {paces[-1]:.0f}; "
            f"a byte to another process and back: {exchanges[-2]:.0f} µs, then {exchanges[-1]:.0f}",
            flush=True,
        )
    print(
        f"\n{machine()}; others used {used.others:.0%} of it meanwhile; a million additions took "
        f"{min(paces):.0f} to {max(paces):.0f} ms, a byte to another process and back "
        f"{min(exchanges):.0f} to {max(exchanges):.0f} µs\n\n{table([row.cells for row in rows], HEAD)}"
    )
    return int(failures > 0)


def parse() -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("benches", nargs="*", metavar="BENCH", choices=[*BENCHES, []], help=", ".join(BENCHES))
    parser.add_argument("--seconds", type=float, default=5.0, help="how long one measurement takes (default 5)")
    parser.add_argument("--rounds", type=int, default=3, help="how often each is repeated; medians count (default 3)")
    parser.add_argument("--quick", action="store_true", help="short and once: to see that it works")
    return parser.parse_args()


def pace_ms() -> float:
    """Tell how long Python takes to add a million numbers: figures of a machine whose pace changes do so as well."""

    def once() -> float:
        started, total = time.perf_counter(), 0
        for number in range(1_000_000):
            total += number
        return (time.perf_counter() - started) * 1000

    return median(once() for _ in range(5))


def exchange_us() -> float:
    """Tell how many microseconds a byte takes to another process and back: most of what a turn waits for is that."""
    with subprocess.Popen(["cat"], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as echo:
        assert echo.stdin is not None
        assert echo.stdout is not None
        there, back = echo.stdin.fileno(), echo.stdout.fileno()
        started = time.perf_counter()
        for _ in range(EXCHANGES):
            os.write(there, b"x")
            os.read(back, 1)
        return (time.perf_counter() - started) / EXCHANGES * 1e6


def machine() -> str:
    """Say what it was measured on."""
    memory = psutil.virtual_memory().total / 2**30
    return (
        f"{psutil.cpu_count()} cores, {memory:.0f} GiB, {platform.system()} {platform.release()}, "
        f"Python {platform.python_version()}; load by wrk and own raw sockets on loopback"
    )


if __name__ == "__main__":
    sys.exit(main())
