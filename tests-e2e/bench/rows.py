"""One line of the table, and what is common to runs of every bench."""

import contextlib
import sys
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

from msgspec import Struct
from stack import Stack, running

QUIET = {"SHOAL_LOG_REQUESTS": "false", "SHOAL_LOG_LEVEL": "warning", "GATEWAY_RATE_LIMIT": "0"}


class Row(Struct, frozen=True):
    """What was reached, and what it is held against.

    Attributes:
        what: What was measured.
        reached: The figure with its unit.
        ceiling: What it is compared with, measured in the same run.
        ratio: Reached by ceiling, where that means something.
        bar: What is asked for.
        holds: Whether it is met; None where there is no bar.
    """

    what: str
    reached: str
    ceiling: str = ""
    ratio: float | None = None
    bar: str = ""
    holds: bool | None = None

    @property
    def cells(self) -> tuple[str, ...]:
        """The line of the table."""
        holds = {True: "yes", False: "**no**", None: ""}[self.holds]
        return self.what, self.reached, self.ceiling, "" if self.ratio is None else f"{self.ratio:.2f}", self.bar, holds


class Scale(Struct, frozen=True):
    """How long and how large."""

    seconds: float = 5.0
    rounds: int = 3
    quick: bool = False


HEAD = ("what", "reached", "against", "ratio", "bar", "holds")


@contextlib.asynccontextmanager
async def bench_stack(**settings: str) -> AsyncIterator[Stack]:
    """Run a suite as benches want it: quiet, without limits of rate."""
    with tempfile.TemporaryDirectory(prefix="shoal-bench-", ignore_cleanup_errors=True) as folder:
        async with running(Path(folder) / "suite", **(QUIET | settings)) as stack:
            try:
                yield stack
            except Exception:
                for name, lines in stack.last_lines():
                    print(f"--- end of {name}\n{lines}", file=sys.stderr)
                raise


def thousands(figure: float, unit: str) -> str:
    """Write a large figure."""
    return f"{figure:,.0f} {unit}"
