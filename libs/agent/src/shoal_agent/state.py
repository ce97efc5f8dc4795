"""The state directory: who this agent is, what it has not sent yet, and how it is doing.

identity.json     the agent id, made up once unless given
pairing.json      the pairing, with the telemetry token; mode 0600
status.json       written by the running agent, read by `shoal-agent status`
lock              held by the running agent
journal-<pairing> frames that are not acknowledged, see `shoal_agent.journal`
"""

import fcntl
import os
import secrets
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Self, TypeVar

import msgspec
from msgspec import Struct

from shoal_agent.errors import AlreadyRunningError, InvalidSettingError, NotPairedError
from shoal_agent.files import write_private
from shoal_agent.journal import JournalStats
from shoal_agent.pairing import Pairing, check_agent_id
from shoal_agent.stream import StreamStatus

DEFAULT_DIRECTORY = "~/.shoal-agent"
VARIABLE = "SHOAL_AGENT_STATE"

T = TypeVar("T")


class _Identity(Struct, frozen=True):
    agent_id: str


class Report(Struct, frozen=True, kw_only=True):
    """What a running agent says of itself."""

    pid: int
    agent_id: str
    updated_at: float
    stream: StreamStatus
    journal: JournalStats


class StateDirectory:
    """The files of one agent."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @classmethod
    def at(cls, path: Path | str | None = None) -> Self:
        """Return the given directory, else that in SHOAL_AGENT_STATE, else `~/.shoal-agent`; make it.

        Raises:
            InvalidSettingError: It cannot be made or written.
        """
        directory = Path(path or os.environ.get(VARIABLE) or DEFAULT_DIRECTORY).expanduser().absolute()
        try:
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise InvalidSettingError("state directory", str(error)) from error
        if not os.access(directory, os.W_OK):
            raise InvalidSettingError("state directory", f"{directory} cannot be written")
        return cls(directory)

    def agent_id(self, wanted: str | None = None) -> str:
        """Return the wanted agent id, else the one used before, else a new one; remember it.

        Raises:
            InvalidSettingError: The wanted one cannot be an agent's id.
        """
        if wanted is not None:
            check_agent_id(wanted)
        known = self._read("identity.json", _Identity)
        if known is not None and wanted in {None, known.agent_id}:
            return known.agent_id
        identity = _Identity(wanted or f"agent_{secrets.token_hex(8)}")
        self._write("identity.json", identity)
        return identity.agent_id

    def pairing(self) -> Pairing:
        """Return the pairing.

        Raises:
            NotPairedError: There is none.
        """
        pairing = self._read("pairing.json", Pairing)
        if pairing is None:
            raise NotPairedError(self.path)
        return pairing

    def save_pairing(self, pairing: Pairing) -> None:
        """Keep a pairing, in the place of any other."""
        self._write("pairing.json", pairing)

    def remove_pairing(self) -> bool:
        """Forget the pairing; return whether there was one."""
        try:
            (self.path / "pairing.json").unlink()
        except FileNotFoundError:
            return False
        return True

    def pairing_mark(self) -> tuple[int, int] | None:
        """Return something that changes whenever the pairing does."""
        try:
            stat = (self.path / "pairing.json").stat()
        except FileNotFoundError:
            return None
        return stat.st_ino, stat.st_mtime_ns

    def journal_directory(self, pairing: Pairing) -> Path:
        """Return where the frames of a pairing wait."""
        return self.path / f"journal-{pairing.pairing_id}"

    def remove_other_journals(self, pairing: Pairing | None) -> int:
        """Delete what waits for any other pairing: it must never reach another dashboard. Return how many."""
        kept = self.journal_directory(pairing) if pairing else None
        others = [path for path in self.path.glob("journal-*") if path != kept]
        for path in others:
            shutil.rmtree(path, ignore_errors=True)
        return len(others)

    def report(self) -> Report | None:
        """Return what the agent last said of itself."""
        return self._read("status.json", Report)

    def save_report(self, report: Report) -> None:
        """Keep what the agent says of itself."""
        write_private(self.path / "status.json", msgspec.json.encode(report))

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Be the only process that runs this agent; the lock ends with the process.

        Raises:
            AlreadyRunningError: Another process is.
        """
        file = self._lock(fcntl.LOCK_EX)
        try:
            yield
        finally:
            os.close(file)

    def is_locked(self) -> bool:
        """Whether an agent is running."""
        try:
            os.close(self._lock(fcntl.LOCK_SH))
        except AlreadyRunningError:
            return True
        return False

    def _lock(self, kind: int) -> int:
        file = os.open(self.path / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        for pause in (0.02, 0.1, 0):  # someone may only be asking whether it is locked
            try:
                fcntl.flock(file, kind | fcntl.LOCK_NB)
            except BlockingIOError:
                time.sleep(pause)
            else:
                return file
        os.close(file)
        raise AlreadyRunningError(self.path)

    def _read(self, name: str, kind: type[T]) -> T | None:
        path = self.path / name
        try:
            return msgspec.json.decode(path.read_bytes(), type=kind)
        except FileNotFoundError:
            return None
        except msgspec.DecodeError as error:
            raise InvalidSettingError(str(path), f"damaged ({error}); delete it") from error

    def _write(self, name: str, content: Struct) -> None:
        write_private(self.path / name, msgspec.json.encode(content), is_durable=True)
