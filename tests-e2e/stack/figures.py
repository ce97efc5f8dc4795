"""What is measured while something is broken, and how it is told."""

import asyncio
import contextlib
import math
import time
from collections.abc import AsyncIterator, Iterable, Sequence

import psutil

MIB = 1024 * 1024
EVERY_S = 0.25


class Memory:
    """Resident memory of some processes, watched while a block runs; a process may come and go."""

    def __init__(self) -> None:
        self.highest: dict[str, float] = {}
        self.last: dict[str, float] = {}

    def note(self, name: str, mib: float) -> None:
        """Take a reading."""
        self.last[name] = mib
        self.highest[name] = max(mib, self.highest.get(name, 0))


def resident(pid: int | None) -> float:
    """Tell a process's resident memory in MiB; 0 when it is gone."""
    with contextlib.suppress(psutil.Error):
        if pid is not None:
            return float(psutil.Process(pid).memory_info().rss / MIB)
    return 0.0


def proportional(pid: int) -> float:
    """Tell a process's share of memory (PSS) in MiB."""
    return float(psutil.Process(pid).memory_full_info().pss / MIB)


@contextlib.asynccontextmanager
async def watched(processes: dict[str, "object"]) -> AsyncIterator[Memory]:
    """Watch the memory of processes (whatever has a `pid`), a few times each second."""
    memory = Memory()

    async def watch() -> None:
        while True:
            for name, process in list(processes.items()):
                if (mib := resident(getattr(process, "pid", None))) > 0:
                    memory.note(name, mib)
            await asyncio.sleep(EVERY_S)

    watching = asyncio.ensure_future(watch())
    try:
        yield memory
    finally:
        watching.cancel()


class Machine:
    """Whose the processors were since this was made: bars in seconds mean nothing while others take them."""

    MAX_OTHERS = 0.2

    def __init__(self) -> None:
        self._all = self._busy()
        self._own = self._ours()
        self._since = time.monotonic()

    @property
    def others(self) -> float:
        """The share of all processors that was used by processes that are not ours."""
        cores = (psutil.cpu_count() or 1) * (time.monotonic() - self._since)
        return max(0.0, (self._busy() - self._all) - (self._ours() - self._own)) / cores

    def hold(self, **bars: tuple[float, float]) -> None:
        """Assert that each figure keeps to its bar; without judgement, loudly, while others use the machine.

        Args:
            bars: A figure in seconds and the most that it may be, by name.
        """
        over = {name: figure for name, (figure, most) in bars.items() if figure > most}
        if over and (others := self.others) > self.MAX_OTHERS:
            print(f"NOT JUDGED: {over} is over the bar, but others used {others:.0%} of this machine")
            return
        assert not over, f"{over} of {bars}"

    @staticmethod
    def _busy() -> float:
        times = psutil.cpu_times()
        return float(sum(times[:8]) - times.idle - getattr(times, "iowait", 0.0))

    @staticmethod
    def _ours() -> float:
        total, me = 0.0, psutil.Process()
        for process in (me, *me.children(recursive=True)):
            with contextlib.suppress(psutil.Error):
                total += sum(process.cpu_times()[:4])
        return total


def percentile(values: Iterable[float], share: float) -> float:
    """Give the value that a share of all do not exceed (nearest rank); not a number when there are none."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)] if ordered else math.nan


def tell(title: str, **figures: object) -> None:
    """Print figures on one line, where `-s` or `-rA` shows them and a failure's report too."""
    print(f"\n{title}: " + ", ".join(f"{name} {_short(value)}" for name, value in figures.items()))


def table(rows: Sequence[Sequence[object]], head: Sequence[str]) -> str:
    """Write a table in Markdown."""
    cells = [[_short(cell) for cell in row] for row in rows]
    widths = [max(len(row[i]) for row in [list(head), *cells]) for i in range(len(head))]
    lines = [head, ["-" * width for width in widths], *cells]
    return "\n".join("| " + " | ".join(f"{c:<{w}}" for c, w in zip(line, widths, strict=True)) + " |" for line in lines)


def _short(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"
    return f"{value:,}" if isinstance(value, int) else str(value)
