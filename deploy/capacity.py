"""How much a fleet takes, from one agent to a million: a model with few constants, each of them measured.

Usage: python deploy/capacity.py. Writes the tables of docs/capacity.md. The constants are those of docs/performance.md
and of `make bench ARGS=fleet`; change them when the figures change.
"""

import math
from pathlib import Path
from typing import Final

from msgspec import Struct

DOCUMENT = Path(__file__).parent.parent / "docs" / "capacity.md"
START, END = "<!-- model -->\n", "<!-- end -->"
FLEETS = (1, 100, 1_000, 10_000, 100_000, 1_000_000)
MINUTE_S, DAY_MINUTES = 60, 1440
KIB, MIB, GIB = 2**10, 2**20, 2**30

# measured: bench fleet, 10,000 agents with a frame a minute each, and 600 with two frames a second each
BATCH_S: Final = {"telemetry-ingest": 590e-6, "metrics-query": 850e-6, "nats": 730e-6, "postgres": 710e-6}
"""Processor time by batch: where frames come one by one, each is a batch."""
BATCHES: Final = 200
"""Batches a second of one ingest process at most: while one is stored, what comes is gathered for the next."""
IDLE_CORES: Final = 0.05
"""What the suite takes while nobody says anything."""
SOCKET_BYTES: Final = 34 * KIB
"""Memory of telemetry-ingest by socket."""
PROXIED_BYTES: Final = 35 * KIB
"""Memory of the gateway by socket that passes through it."""
# measured: bench fresh, and bench ingest
FRAME_S: Final = 40e-6
"""Processor time by frame within a batch, of all processes together."""
PUBLISHES: Final = 2_800
"""Durable publishes a second of one NATS server with `sync_interval: always`."""
# measured: 20 busy agents with a month of history (`bench query`), indexes included
MINUTE_BYTES, HOUR_BYTES, DAY_BYTES = 550, 2_800, 4_400
"""Disk by row; an hour has a histogram of all its response times."""
# decided
SOCKETS_BY_POD: Final = 15_000
"""In a pod of 1 GiB, with room for twice the traffic."""
KEPT, SHORT = (31, 396), (7, 90)
"""Days that minutes and hours are kept: as it comes, and where disk is dear. Of days, kept for ever, a year counts."""
BASE_MIB: Final = 110
"""A process that does nothing."""


class Need(Struct, frozen=True):
    """What a fleet takes."""

    agents: int
    every_s: float

    @property
    def frames(self) -> float:
        """Frames a second."""
        return self.agents / self.every_s

    @property
    def pods(self) -> int:
        """Pods of telemetry-ingest, and of the gateway, by their sockets."""
        return max(1, math.ceil(self.agents / SOCKETS_BY_POD))

    @property
    def batches(self) -> float:
        """Batches a second: no more than there are frames, than ingest processes make, than NATS stores."""
        return min(self.frames, self.pods * BATCHES, PUBLISHES)

    @property
    def cores(self) -> float:
        """Processors of ingest, query, NATS and PostgreSQL together."""
        return IDLE_CORES + self.batches * sum(BATCH_S.values()) + self.frames * FRAME_S

    @property
    def rows(self) -> float:
        """Minute rows written a second: one of each agent and minute, however many frames."""
        return min(self.frames, self.agents / MINUTE_S)

    @property
    def memory_bytes(self) -> float:
        """Memory of all pods of the gateway and of telemetry-ingest."""
        return 2 * self.pods * BASE_MIB * MIB + self.agents * (SOCKET_BYTES + PROXIED_BYTES)

    @property
    def rows_a_day(self) -> float:
        """Minute rows a day."""
        return self.rows * DAY_MINUTES * MINUTE_S

    def disk_bytes(self, minutes_d: int, hours_d: int) -> float:
        """Tell the size of the database when retention has set in."""
        return self.rows_a_day * minutes_d * MINUTE_BYTES + self.agents * (24 * hours_d * HOUR_BYTES + 365 * DAY_BYTES)


def table(every_s: float) -> str:
    """Write the table of one pace."""
    head = ("agents", "frames/s", "sockets' memory", "pods: gateway, ingest", "cores in all", "batches/s", "rows a day",
            "database", "the same, keeping 7 and 90 days")  # fmt: skip
    lines = [head, ("---",) * len(head), *(_line(Need(agents, every_s)) for agents in FLEETS)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + "\n"


def render(text: str) -> str:
    """Write the tables into the document."""
    before, _, rest = text.partition(START)
    after = rest.partition(END)[2]
    tables = f"One frame a minute:\n\n{table(60)}\nOne frame every ten seconds:\n\n{table(10)}"
    return f"{before}{START}{tables}{END}{after}"


def _line(need: Need) -> tuple[str, ...]:
    return (
        f"{need.agents:,}",
        _figure(need.frames),
        _size(need.memory_bytes),
        f"{need.pods}, {need.pods}",
        _figure(need.cores),
        _figure(need.batches),
        _figure(need.rows_a_day),
        _size(need.disk_bytes(*KEPT)),
        _size(need.disk_bytes(*SHORT)),
    )


def _figure(value: float) -> str:
    if value >= 1e6:  # noqa: PLR2004
        return f"{value / 1e6:,.1f} million"
    return f"{value:,.0f}" if value >= 10 else f"{value:.2g}"  # noqa: PLR2004


def _size(value: float) -> str:
    for unit, size in (("TiB", 2**40), ("GiB", GIB), ("MiB", MIB)):
        if value >= size:
            return f"{value / size:,.0f} {unit}" if value >= 10 * size else f"{value / size:,.1f} {unit}"
    return f"{value / KIB:,.0f} KiB"


if __name__ == "__main__":
    DOCUMENT.write_text(render(DOCUMENT.read_text()))
