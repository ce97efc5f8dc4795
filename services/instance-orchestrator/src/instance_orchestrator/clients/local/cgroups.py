"""Cgroups of local instances (version 2), where a part of the tree was given to the suite.

systemd gives a unit a part by `Delegate=yes` and marks it; the top of a tree that nobody marked belongs to whoever may
write there. A part that has parts of its own holds no processes itself: those of the suite move into one of them.
Where there is no such part, or it cannot limit memory, instances are held to their limits one process at a time.
"""

import contextlib
import os
import zlib
from pathlib import Path

import structlog

from instance_orchestrator.domain.plans import InstanceRef

OUR_OWN = "suite"
"""Where the suite's own processes are, beside the instances."""
_MARKS = ("user.delegate", "trusted.delegate")
_MAX_ROUNDS = 5


class Cgroups:
    """Makes and removes a cgroup for each instance of one suite.

    Args:
        part: The part of the tree that is ours; None where there is none.
        root: The folder of the suite's instances, by which they are told from those of another suite.
    """

    def __init__(self, part: Path | None, root: Path) -> None:
        self._part = part
        self._prefix = f"shoal-{zlib.crc32(str(root).encode()):08x}"

    def make(self, instance: InstanceRef) -> str:
        """Make an instance's cgroup, which it joins by itself; empty where there are none."""
        if self._part is None:
            return ""
        try:
            self._place(self._part, instance).mkdir(exist_ok=True)
        except OSError as error:
            structlog.get_logger().warning("cgroup_refused", instance=instance.name, error=str(error))
            return ""
        return str(self._place(self._part, instance))

    def remove(self, instance: InstanceRef) -> bool:
        """Remove an instance's cgroup, with whatever still runs in it; whether it is gone."""
        if self._part is None:
            return True
        cgroup = self._place(self._part, instance)
        with contextlib.suppress(OSError):
            _write(cgroup / "cgroup.kill", "1")
        with contextlib.suppress(OSError):
            cgroup.rmdir()
        return not cgroup.exists()

    def _place(self, part: Path, instance: InstanceRef) -> Path:
        return part / f"{self._prefix}-{instance.id}-{instance.name}"


def find_part(process: Path = Path("/proc/self")) -> Path | None:
    """Look for the part of the tree that is ours: where we are, or one above. Makes it ready for instances."""
    try:
        top, own = _whereabouts(process)
        part = own if own == top or _is_marked(own) else own.parent
        if part == own or _is_marked(part):
            _share_out(part, is_top=part == top)
            return part
    except (OSError, ValueError) as error:
        structlog.get_logger().info("cgroups_unavailable", reason=str(error))
    return None


def _whereabouts(process: Path) -> tuple[Path, Path]:
    """Read where the tree begins, and where in it a process is.

    Raises:
        ValueError: There is no such tree.
        OSError: It cannot be read.
    """
    paths = [line[3:] for line in (process / "cgroup").read_text().splitlines() if line.startswith("0::")]
    for line in (process / "mountinfo").read_text().splitlines():
        mount, _, filesystem = line.partition(" - ")
        if filesystem.startswith("cgroup2 ") and paths:
            root, point = mount.split()[3:5]
            return Path(point), Path(point) / Path(paths[0]).relative_to(root)
    raise ValueError("no tree of version 2 is mounted")


def _is_marked(part: Path) -> bool:
    for mark in _MARKS:
        with contextlib.suppress(OSError):
            if os.getxattr(part, mark) == b"1":
                return True
    return False


def _share_out(part: Path, *, is_top: bool) -> None:
    """Let the parts of a part be limited.

    Raises:
        ValueError: Their memory cannot be.
        OSError: That is refused.
    """
    offered = (part / "cgroup.controllers").read_text().split()
    if "memory" not in offered:
        raise ValueError(f"{part} limits no memory")
    if not is_top:
        _make_room(part)
    _write(part / "cgroup.subtree_control", " ".join(f"+{one}" for one in ("memory", "cpu") if one in offered))


def _make_room(part: Path) -> None:
    """Move the processes of a part that is ours alone into one of its own."""
    ours = part / OUR_OWN
    for _ in range(_MAX_ROUNDS):  # one may be born meanwhile
        pids = (part / "cgroup.procs").read_text().split()
        if not pids:
            return
        ours.mkdir(exist_ok=True)
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                _write(ours / "cgroup.procs", pid)


def _write(file: Path, content: str) -> None:
    """Write to a file that is there."""
    opened = os.open(file, os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.write(opened, content.encode())
    finally:
        os.close(opened)
