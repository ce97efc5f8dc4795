"""Processes of this machine, from outside."""

from pathlib import Path


def is_alive(pid: int) -> bool:
    """Tell whether a process runs; one that ended and was not waited for does not."""
    try:
        return "Z" not in Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False


def group(pgid: int) -> list[int]:
    """List living processes of a group."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
            except (FileNotFoundError, ProcessLookupError):
                continue
            if int(fields[2]) == pgid and fields[0] != "Z":
                found.append(int(entry.name))
    return found


def has_mapped(pid: int, library: str) -> bool:
    """Tell whether a process has loaded a library of this name."""
    return library in Path(f"/proc/{pid}/maps").read_text()
