"""The folder of an instance: what whoever looks after it writes, and what the instance answers.

settings.json      how to serve
clawdbot.json      the config, read as it stands
host_key           the SSH host key, OpenSSH's format
authorized_keys    keys that may sign in; brought into `home/.ssh/authorized_keys`, which may be edited
taken_keys         the keys that were brought there last
pairing_token      redeems a place on the dashboard; empty when there is none to redeem
lock               held by the process that serves; names its pid
ready.json         written once everything is served
instance.log       the log
home/ agent/       what is kept: the home of whoever signs in, and the agent's state directory
"""

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

import msgspec
from msgspec import Struct

from shoal_agent.errors import AlreadyRunningError, InvalidSettingError
from shoal_agent.files import write_private


class Settings(Struct, frozen=True, kw_only=True):
    """How to serve."""

    name: str
    """What the instance is called."""
    agent_id: str
    """The id that its agent reports under."""
    gateway_url: str
    """Where the dashboard's gateway is."""
    host: str = "127.0.0.1"
    """The address of its screens."""
    desktop_port: int
    terminal_port: int
    ssh_user: str = "shoal"
    ssh_host: str = "127.0.0.1"
    ssh_port: int = 0
    """0: a free one, told in `ready.json`."""
    interval_s: float = 10.0
    """Seconds between samples."""
    cgroup: str = ""
    """A cgroup for all of its processes, whose limits hold for them together; empty: each is limited by itself."""
    own_cgroup: str = ""
    """A cgroup that holds its processes and no others, which is read and not joined: a container's."""
    memory_limit: int = 0
    """Bytes of memory; 0: as many as there are."""
    cpu_limit: float = 0.0
    """Cores; 0: as many as there are."""
    is_measured_alone: bool = False
    """Whether its telemetry tells what its own processes take, and not what is in use on the whole machine."""
    heartbeat: str = ""
    """A file that is touched while somebody looks after the instance; empty: nobody has to."""
    alone_grace_s: float = 600.0
    """After how long without that the instance ends."""
    is_logging_to_stdout: bool = False
    """Whether the log is written to standard output too, as containers do."""


class Ready(Struct, frozen=True):
    """Everything is served."""

    pid: int
    ssh_port: int
    gateway_port: int


class Folder:
    """One instance's files.

    Args:
        path: Where the instance writes; made where it is missing.
        given: Where what it is given is, when that is elsewhere: a mounted volume.
    """

    def __init__(self, path: Path, given: Path | None = None) -> None:
        self.path = path.absolute()
        self.path.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._given = given.absolute() if given else self.path
        self.home = self.path / "home"
        self.agent = self.path / "agent"
        self.log = self.path / "instance.log"
        self.host_key = self._given / "host_key"
        self.home_keys = self.home / ".ssh" / "authorized_keys"

    def settings(self) -> Settings:
        """Read how to serve.

        Raises:
            InvalidSettingError: That cannot be read.
        """
        try:
            return msgspec.json.decode((self._given / "settings.json").read_bytes(), type=Settings)
        except (OSError, msgspec.DecodeError) as error:
            raise InvalidSettingError("settings.json", str(error)) from error

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Be the only process that serves this folder, and say which one; the lock ends with the process.

        Raises:
            AlreadyRunningError: Another one does.
        """
        file = os.open(self.path / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise AlreadyRunningError(self.path) from None
            os.ftruncate(file, 0)
            os.pwrite(file, str(os.getpid()).encode(), 0)
            yield
        finally:
            os.close(file)

    def config(self) -> bytes:
        """Read the config; empty when there is none."""
        return _read(self._given / "clawdbot.json")

    def pairing_token(self) -> str:
        """Read the token that redeems a place on the dashboard; empty when there is none."""
        return _read(self._given / "pairing_token").decode("ascii", "replace").strip()

    def say_ready(self, ready: Ready) -> None:
        """Tell that everything is served."""
        write_private(self.path / "ready.json", msgspec.json.encode(ready))

    def take_keys(self) -> bool:
        """Bring given keys into the home's if they are others than last time; whether they are.

        What was given last time and no longer is leaves; what others wrote there stays. Keys that are the same as last
        time are not brought again: whoever replaces a key in the home tells so a moment later.
        """
        given, taken = _read(self._given / "authorized_keys"), _read(self.path / "taken_keys")
        if given == taken and self.home_keys.exists():
            return False
        self.home_keys.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        there = self.home_keys.read_bytes().splitlines() if self.home_keys.exists() else []
        wanted, gone = given.splitlines(), set(taken.splitlines()) - set(given.splitlines())
        kept = [line for line in there if line not in gone]
        lines = kept + [line for line in wanted if line.strip() and line not in kept]
        write_private(self.home_keys, b"".join(line + b"\n" for line in lines))
        write_private(self.path / "taken_keys", given)
        return True


def _read(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except FileNotFoundError:
        return b""
