"""The folder of a local instance: what the orchestrator writes into it, and what the process answers.

settings.json      how to serve; read by `shoal-agent instance`
clawdbot.json      the config, byte for byte
host_key           the SSH host key
authorized_keys    the keys that ssh-manager may sign in by; the process copies them into its home
pairing_token      redeems the agent's place on the dashboard; empty when spent
lock               held by the process that serves the folder; names its pid
process.json       the process that was started: who it is, and with what
ready.json         written by the process once everything is served; names its pid and ports
instance.log       its log
home/ agent/       what it keeps
"""

import fcntl
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TypeVar

import msgspec
from msgspec import Struct

from instance_orchestrator.domain.plans import InstanceRef, Plan
from instance_orchestrator.domain.quantities import parse

SSH_USER = "shoal"

T = TypeVar("T")


class InstanceSettings(Struct, frozen=True, kw_only=True):
    """How `shoal-agent instance` is to serve: `settings.json`, read by `shoal_agent.instance.folder`."""

    name: str
    agent_id: str
    gateway_url: str
    host: str
    desktop_port: int
    terminal_port: int
    ssh_user: str
    interval_s: float
    cgroup: str
    memory_limit: int
    """Bytes."""
    cpu_limit: float
    """Cores."""
    is_measured_alone: bool = True
    """Its telemetry tells what it takes of this machine, which it shares."""
    heartbeat: str
    """A file that is touched for as long as somebody looks after the process."""
    alone_grace_s: float


class Ready(Struct, frozen=True):
    """What `shoal-agent instance` answers: `ready.json`."""

    pid: int
    ssh_port: int


class Started(Struct, frozen=True):
    """A process that was started; `started` tells it from a later one of the same pid."""

    pid: int
    started: float
    run_hash: str
    crashes: int = 0
    """How often in a row it ended by itself."""
    retry_at: float = 0.0
    """When it may be started again, by the wall clock."""


class Folder:
    """One instance's files."""

    def __init__(self, root: Path, instance: InstanceRef) -> None:
        self.path = root / f"{instance.id}-{instance.name}"
        self._heartbeat = root / "heartbeat"

    @property
    def log(self) -> Path:
        """Where its log is."""
        return self.path / "instance.log"

    @property
    def home(self) -> Path:
        """Its home."""
        return self.path / "home"

    def write(self, plan: Plan, *, host: str, interval_s: float, alone_grace_s: float, cgroup: str) -> None:
        """Bring the files up to date; what is so already is left alone."""
        self.home.mkdir(parents=True, exist_ok=True, mode=0o700)
        settings = InstanceSettings(
            name=plan.instance.name,
            agent_id=plan.seat.agent_id,
            gateway_url=plan.seat.gateway_url,
            host=host,
            desktop_port=plan.ports.chrome,
            terminal_port=plan.ports.terminal,
            ssh_user=SSH_USER,
            interval_s=interval_s,
            cgroup=cgroup,
            memory_limit=int(parse(plan.resources.memory_limit)),
            cpu_limit=float(parse(plan.resources.cpu_limit)),
            heartbeat=str(self._heartbeat),
            alone_grace_s=alone_grace_s,
        )
        self._put("settings.json", msgspec.json.encode(settings))
        self._put("clawdbot.json", plan.config)
        self._put("host_key", plan.host_key.private.encode())
        self._put("authorized_keys", f"{plan.authorized.line}\n".encode() if plan.authorized else b"")
        self._put("pairing_token", plan.seat.token.encode())

    def take_home_of(self, source: "Folder") -> None:
        """Begin with a copy of another instance's home, but for who may sign in there; once, and all of it or nothing.

        The other may be at work: what it deletes meanwhile is left out.

        Raises:
            OSError: It cannot be copied.
        """
        if self.home.exists() or not source.home.exists():
            return
        self.path.mkdir(parents=True, exist_ok=True, mode=0o700)
        draft = self.path / ".home.new"
        shutil.rmtree(draft, ignore_errors=True)
        try:
            shutil.copytree(source.home, draft, symlinks=True, ignore=_not_to_be_copied)
        except shutil.Error as error:
            failed = [(file, why) for file, _, why in error.args[0] if os.path.lexists(file)]
            if failed:
                raise OSError(f"{failed[0][0]}: {failed[0][1]}") from error
        draft.rename(self.home)

    def started(self) -> Started | None:
        """Read which process was started."""
        return self._read("process.json", Started)

    def ready(self) -> Ready | None:
        """Read what the process answered."""
        return self._read("ready.json", Ready)

    def keep_started(self, started: Started) -> None:
        """Note which process was started."""
        write_private(self.path / "process.json", msgspec.json.encode(started))

    def holder(self) -> int | None:
        """Find the process that serves the folder, whoever started it; for one whose start was not noted any more."""
        try:
            file = os.open(self.path / "lock", os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            return None
        try:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            pid = os.pread(file, 16, 0)
            return int(pid) if pid.isdigit() else None
        finally:
            os.close(file)
        return None

    def forget_ready(self) -> None:
        """Forget what the process before answered."""
        (self.path / "ready.json").unlink(missing_ok=True)

    def delete(self) -> bool:
        """Delete everything; whether nothing is left."""
        shutil.rmtree(self.path, ignore_errors=True)
        return not self.path.exists()

    def _put(self, name: str, content: bytes) -> None:
        file = self.path / name
        try:
            if file.read_bytes() == content:
                return
        except FileNotFoundError:
            pass
        write_private(file, content)

    def _read(self, name: str, kind: type[T]) -> T | None:
        try:
            return msgspec.json.decode((self.path / name).read_bytes(), type=kind)
        except (FileNotFoundError, msgspec.DecodeError):
            return None


def _not_to_be_copied(folder: str, names: list[str]) -> set[str]:
    """Leave out the keys that let people in, and what is no file: pipes, sockets."""
    kept = Path(folder)
    strange = {name for name in names if not (kept / name).is_symlink() and not _is_plain(kept / name)}
    return strange | ({"authorized_keys"} if kept.name == ".ssh" else set())


def _is_plain(path: Path) -> bool:
    return path.is_file() or path.is_dir()


def folders(root: Path) -> Iterator[InstanceRef]:
    """List the instances that have a folder."""
    for path in root.iterdir() if root.exists() else ():
        number, _, name = path.name.partition("-")
        if number.isdigit() and name and path.is_dir():
            yield InstanceRef(int(number), name)


def write_private(file: Path, content: bytes) -> None:
    """Replace a file as a whole, mode 0600: readers see the old or the new content, never half of it."""
    draft = file.with_name(f".{file.name}.new")
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC
    with os.fdopen(os.open(draft, flags, 0o600), "wb") as output:
        output.write(content)
        output.flush()
        os.fsync(output.fileno())
    draft.replace(file)
