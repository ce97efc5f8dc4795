"""The machine that the agent runs on."""

import importlib.metadata
import platform
import socket
import sys
from typing import Protocol

import psutil
from msgspec import Struct

MIB = 1024 * 1024


class Usage(Struct, frozen=True, kw_only=True):
    """What is taken at one moment: memory in MiB, and processors, 0 to 100 of those that may be taken."""

    memory_mb: int
    cpu_percent: float


class Gauges(Protocol):
    """What memory and processors are told of."""

    async def read(self) -> Usage:
        """Read memory as it is, and processors since the call before.

        Raises:
            psutil.Error, OSError: The system does not tell.
        """


class Host:
    """Gauges of this machine as a whole."""

    def __init__(self) -> None:
        psutil.cpu_percent(interval=None)  # the first call has nothing to compare with

    async def read(self) -> Usage:
        """Read memory that is not available to new programs, and how busy all processors together were."""
        memory, busy = psutil.virtual_memory(), float(psutil.cpu_percent(interval=None))
        return Usage(memory_mb=int((memory.total - memory.available) // MIB), cpu_percent=round(busy, 1))


def instance_info() -> dict[str, str]:
    """Return what a pairing tells about this machine."""
    return {
        "version": importlib.metadata.version("shoal-agent"),
        "os": sys.platform,
        "hostname": socket.gethostname(),
        "architecture": platform.machine(),
        "python_version": platform.python_version(),
    }
