"""Child servers: started in a session of their own, ready by a deadline, stopped in order, gone when we are.

On Linux a child asks the kernel for a signal at its parent's death (`PR_SET_PDEATHSIG`), so that not even `kill -9` of
the parent leaves a server behind. The kernel counts the *thread* that forked as the parent: asyncio forks in the
thread that runs the event loop, so start servers from a loop whose thread lives as long as they shall, in practice
the main thread. Elsewhere than on Linux an orphan stays, and the next start names it (`AlreadyRunningError`).
"""

import asyncio
import contextlib
import ctypes
import os
import signal
import subprocess
import sys
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Final, Self

import psutil

_PR_SET_PDEATHSIG: Final = 1
_POLL_SECONDS: Final = 0.01
_LOG_LINES: Final = 12
_LOG_BYTES: Final = 10 * 1024 * 1024
_ORPHAN_SECONDS: Final = 5.0
_CLAIM_SECONDS: Final = 0.5
_TAKEN: Final = "address already in use"

BARE: Final[Mapping[str, str]] = MappingProxyType({"PATH": os.defpath, "LC_ALL": "C"})
"""An environment that configures nothing."""

# Looked up here, because a forked child may only call what is loaded already.
_prctl = ctypes.CDLL(None).prctl if sys.platform == "linux" else None


class ServerError(Exception):
    """An embedded server did not do as it was told.

    The message names the part, what went wrong, the log file and its last lines since the start; what mends it is its
    `cure`, where that is known.
    """

    def __init__(
        self, part: str, problem: str, *, log: Path | None = None, lines: Sequence[str] = (), cure: str | None = None
    ) -> None:
        self.part = part
        self.log = log
        self.cure = cure
        self._lines = lines
        told = [f"{part}: {problem}"]
        if log is not None:
            told.append(f"log: {log}")
        super().__init__("\n  ".join([*told, *lines]))

    @property
    def is_port_taken(self) -> bool:
        """Whether the server said that somebody else listens where it was to."""
        return any(_TAKEN in line.lower() for line in self._lines)

    @classmethod
    def from_log(cls, part: str, problem: str, log: Path, *, start: int = 0) -> Self:
        """Build the error with the last lines that the log holds behind byte `start`."""
        with log.open("rb") as file:
            file.seek(start)
            lines = file.read().decode(errors="replace").splitlines()[-_LOG_LINES:]
        return cls(part, problem, log=log, lines=lines)


class AlreadyRunningError(ServerError):
    """Another process serves this directory."""

    def __init__(self, part: str, pid: int, directory: Path) -> None:
        self.pid = pid
        cure = "stop it (Ctrl-C where it runs), or start another suite beside it by --state FOLDER --port PORT"
        super().__init__(part, f"already running with pid {pid} in {directory}", cure=cure)


class ServerProcess:
    """One child server and its log file.

    Args:
        part: What messages call it, as `PostgreSQL`.
        command: Program (an absolute path) and arguments. It must stay in the foreground.
        log: Takes the output of every start; set aside as `<log>.1` at a start that finds it above 10 MiB.
        stop_signal: Asks for an orderly end; also what the kernel sends when we die.
        uid: The user to become before the program runs (its group likewise); None to stay who we are.
        environment: All of its environment: neither our secrets nor variables that would configure it (`PGPORT`, …).
    """

    def __init__(
        self,
        part: str,
        command: Sequence[str],
        *,
        log: Path,
        stop_signal: signal.Signals,
        uid: int | None = None,
        environment: Mapping[str, str] = BARE,
    ) -> None:
        self.part = part
        self._command = command
        self._log = log
        self._log_start = 0
        self._stop_signal = stop_signal
        self._uid = uid
        self._environment = dict(environment)
        self._process: asyncio.subprocess.Process | None = None

    @property
    def pid(self) -> int | None:
        """Process id while running, else None."""
        return self._process.pid if self._process is not None and self._process.returncode is None else None

    async def start(self, ready: Callable[[], Awaitable[bool]], *, within: float) -> None:
        """Start the program and poll `ready` until it is true.

        Raises:
            ServerError: It cannot be started, ended early, or was not ready `within` seconds; nothing is left running.
        """
        await self._spawn()
        try:
            async with asyncio.timeout(within):
                await self._until(ready)
        except TimeoutError as error:
            await self._kill()
            raise self.failure(f"was not ready within {within:g} s") from error
        except BaseException:
            await self._kill()
            raise

    async def run(self, *, within: float) -> None:
        """Start the program and wait for its successful end.

        Raises:
            ServerError: It cannot be started, failed, or was not done `within` seconds; nothing is left running.
        """
        await self._spawn()
        try:
            async with asyncio.timeout(within):
                status = await self.wait()
        except TimeoutError as error:
            raise self.failure(f"was not done within {within:g} s") from error
        finally:
            await self._kill()
        if status != 0:
            raise self.failure(f"ended with status {status}")

    async def stop(self, *, within: float) -> None:
        """Ask for an orderly end, kill the process group after `within` seconds, return when the process is gone."""
        if self.pid is None:
            return
        self.send(self._stop_signal)
        try:
            async with asyncio.timeout(within):
                await self.wait()
        except TimeoutError:
            await self._kill()

    async def wait(self) -> int:
        """Wait until the process has ended, by whatever cause; its exit status, negative for a signal."""
        if self._process is None:
            raise ServerError(self.part, "was never started")
        return await self._process.wait()

    def send(self, number: signal.Signals) -> None:
        """Send a signal, if the process still runs."""
        if self._process is not None and self.pid is not None:
            self._process.send_signal(number)

    def failure(self, problem: str) -> ServerError:
        """Build the error that says what went wrong, with the log's last lines since the start."""
        return ServerError.from_log(self.part, problem, self._log, start=self._log_start)

    async def _spawn(self) -> None:
        self._log_start = _prepare_log(self._log)
        try:
            with self._log.open("ab") as output:
                self._process = await asyncio.create_subprocess_exec(
                    *self._command,
                    stdin=asyncio.subprocess.DEVNULL,
                    stdout=output,
                    stderr=output,
                    cwd="/",
                    env=self._environment,
                    start_new_session=True,
                    preexec_fn=_in_child(os.getpid(), self._stop_signal, self._uid),
                )
        except (OSError, subprocess.SubprocessError) as error:
            raise ServerError(self.part, f"cannot be started: {error}", log=self._log) from error

    async def _until(self, ready: Callable[[], Awaitable[bool]]) -> None:
        while not await ready():
            if self.pid is None:
                raise self.failure(f"ended with status {await self.wait()} while starting")
            await asyncio.sleep(_POLL_SECONDS)

    async def _kill(self) -> None:
        if self.pid is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.pid, signal.SIGKILL)
            await self.wait()


def _prepare_log(log: Path) -> int:
    log.touch(mode=0o600)
    if (size := log.stat().st_size) <= _LOG_BYTES:
        return size
    log.rename(log.with_name(f"{log.name}.1"))
    log.touch(mode=0o600)
    return 0


def _in_child(parent: int, death_signal: signal.Signals, uid: int | None) -> Callable[[], None]:
    def prepare() -> None:
        if uid is not None:
            os.setgroups([])
            os.setgid(uid)
            os.setuid(uid)
        if _prctl is not None:
            _prctl(_PR_SET_PDEATHSIG, int(death_signal))  # after setuid, which clears it
            if os.getppid() != parent:  # it died before the kernel knew our wish
                os._exit(1)

    return prepare


@contextlib.contextmanager
def own_files(part: str) -> Iterator[None]:
    """Say in the server's name that files are not ours to use.

    Raises:
        ServerError: Instead of PermissionError.
    """
    try:
        yield
    except PermissionError as error:
        raise ServerError(part, f"may not use {error.filename}: does it belong to another user?") from error


async def await_vacancy(part: str, directory: Path, occupant: Callable[[], int | None]) -> None:
    """Make sure that no server of an earlier start still serves a directory.

    One that dies with its killed parent is waited for; one that stays is somebody's.

    Args:
        part: What messages call the server.
        directory: What it serves.
        occupant: Finds the process id of the server that runs there, if any.

    Raises:
        AlreadyRunningError: A server runs there and does not end.
    """
    waited = 0.0
    while (pid := occupant()) is not None:
        patience = _ORPHAN_SECONDS if _is_orphan(pid) else _CLAIM_SECONDS
        if waited >= patience:
            raise AlreadyRunningError(part, pid, directory)
        await asyncio.sleep(_POLL_SECONDS)
        waited += _POLL_SECONDS


def serves(pid: int, program: str, argument: str) -> bool:
    """Whether the process `pid` is a living `program` that was given this argument (ids are used again)."""
    try:
        process = psutil.Process(pid)
        return bool(process.name() == program and argument in process.cmdline())
    except (psutil.NoSuchProcess, psutil.ZombieProcess):
        return False
    except psutil.AccessDenied:
        return True


def _is_orphan(pid: int) -> bool:
    try:
        return bool(psutil.Process(pid).ppid() == 1)
    except psutil.Error:
        return False
