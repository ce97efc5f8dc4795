"""The machine that the agent runs on."""

import importlib.metadata
import platform
import socket
import sys

import psutil

_MIB = 1024 * 1024


class Host:
    """Live figures of this machine."""

    def __init__(self) -> None:
        psutil.cpu_percent(interval=None)  # the first call has nothing to compare with

    def memory_mb(self) -> int:
        """Return the memory in use on the whole machine, in MiB: what is not available to new programs."""
        memory = psutil.virtual_memory()
        return int((memory.total - memory.available) // _MIB)

    def cpu_percent(self) -> float:
        """Return how busy the processors were since the call before, 0 to 100 over all of them."""
        return round(float(psutil.cpu_percent(interval=None)), 1)


def instance_info() -> dict[str, str]:
    """Return what a pairing tells about this machine."""
    return {
        "version": importlib.metadata.version("shoal-agent"),
        "os": sys.platform,
        "hostname": socket.gethostname(),
        "architecture": platform.machine(),
        "python_version": platform.python_version(),
    }
