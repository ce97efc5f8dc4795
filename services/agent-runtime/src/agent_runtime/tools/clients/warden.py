"""A program that runs a shell command and answers for every process that comes of it.

It is started by its path, with an isolated Python and nothing but the standard library, so it may not import its
neighbours. Its standard input is a pipe that the service holds: when that closes, however it comes to that, everything
ends. Orphans come to it (it is their reaper), so a process that leaves group and session, or whose parents are gone,
is found all the same; without children left there is none. A command whose processes are too many ends at once.

What it leaves behind: the command's exit status, 128 and the signal for one that was killed; or its own death of
`SIGUSR1`, where there were too many processes.
"""

import contextlib
import ctypes
import os
import resource
import select
import signal
import sys
import time
from collections.abc import Iterator

PR_SET_PDEATHSIG, PR_SET_CHILD_SUBREAPER = 1, 36
LOOK_S = 0.1
_SCANS = 20
"""Looking takes at most one part in so many of the time."""
_AGAIN_S = 0.002
_NICENESS = 10
"""Commands stand back: a command that only makes processes is slower than whoever ends them."""

_prctl = ctypes.CDLL(None).prctl if sys.platform == "linux" else None


class Warden:
    """Watches over one command.

    Args:
        command: For `sh`.
        memory: Bytes that each process may map.
        file: Bytes that each file may have.
        most: How many processes there may be at once.
    """

    def __init__(self, command: str, *, memory: int, file: int, most: int) -> None:
        self._command = command
        self._limits = {resource.RLIMIT_AS: memory, resource.RLIMIT_FSIZE: file, resource.RLIMIT_CORE: 0}
        self._most = most
        self._child = 0
        self._status: int | None = None

    def watch(self) -> int:
        """Run the command; returns its exit status once nothing of it is left."""
        _ask_kernel(PR_SET_CHILD_SUBREAPER, 1)
        woken, waking = os.pipe()
        os.set_blocking(waking, False)
        signal.set_wakeup_fd(waking)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        self._child = os.fork()
        if not self._child:
            self._become()
        pause = LOOK_S
        while self._reap() and self._status is None:
            readable, _, _ = select.select([sys.stdin, woken], [], [], pause)
            if sys.stdin in readable:
                break
            if woken in readable:
                os.read(woken, 4096)
                continue
            began = time.monotonic()
            if sum(1 for _ in self._descendants()) > self._most:
                self._end()
                os.kill(os.getpid(), signal.SIGUSR1)
            pause = max(LOOK_S, _SCANS * (time.monotonic() - began))
        self._end()
        return self._status or 0

    def _become(self) -> None:
        """Turn into the command, in a session of its own."""
        os.setsid()
        _ask_kernel(PR_SET_PDEATHSIG, signal.SIGKILL)
        nothing = os.open(os.devnull, os.O_RDONLY)
        os.dup2(nothing, 0)
        for limit, most in self._limits.items():
            resource.setrlimit(limit, (most, most))
        for ignored in (signal.SIGPIPE, signal.SIGXFSZ):
            signal.signal(ignored, signal.SIG_DFL)
        os.nice(_NICENESS)
        os.execv("/bin/sh", ["/bin/sh", "-c", self._command])  # noqa: S606 - that is what this is for

    def _reap(self) -> bool:
        """Take in who is dead; returns whether anybody is left."""
        with contextlib.suppress(ChildProcessError):
            while True:
                pid, status = os.waitpid(-1, os.WNOHANG)
                if pid == 0:
                    return True
                if pid == self._child:
                    code = os.waitstatus_to_exitcode(status)
                    self._status = code if code >= 0 else 128 - code
        return False

    def _end(self) -> None:
        """Kill until nobody is left; who is orphaned meanwhile comes here, and is found the next time."""
        while self._reap():
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self._child, signal.SIGKILL)
            for pid in self._descendants():
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.kill(pid, signal.SIGKILL)
            time.sleep(_AGAIN_S)

    def _descendants(self) -> Iterator[int]:
        children: dict[int, list[int]] = {}
        for pid, parent in _processes():
            children.setdefault(parent, []).append(pid)
        ahead = children.get(os.getpid(), [])
        while ahead:
            pid = ahead.pop()
            yield pid
            ahead += children.get(pid, ())


def _processes() -> Iterator[tuple[int, int]]:
    """Read who there is, and who is whose parent; nobody where that cannot be read."""
    with contextlib.suppress(FileNotFoundError):
        for name in os.listdir("/proc"):  # noqa: PTH208 - a tenth of the time
            if name.isdigit():
                with contextlib.suppress(OSError), open(f"/proc/{name}/stat", "rb") as file:  # noqa: PTH123 - as above
                    yield int(name), int(file.read().rpartition(b")")[2].split()[1])


def _ask_kernel(option: int, value: int) -> None:
    if _prctl is not None:
        _prctl(option, value, 0, 0, 0)


if __name__ == "__main__":
    memory, file, most, command = sys.argv[1:]
    sys.exit(Warden(command, memory=int(memory), file=int(file), most=int(most)).watch())
