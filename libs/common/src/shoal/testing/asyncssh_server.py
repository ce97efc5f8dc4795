"""asyncssh's server in the place of OpenSSH's, for tests where that is not installed.

Run as a process of its own: `python -m shoal.testing.asyncssh_server <settings as JSON>`.
"""

import asyncio
import sys
from pathlib import Path
from typing import Any

import asyncssh
import msgspec
from msgspec import Struct

MAX_BYTES = 1024 * 1024


class Settings(Struct, frozen=True, kw_only=True):
    """What the server obeys."""

    folder: str
    host: str
    port: int
    user: str
    keys: str
    ways: list[str]
    sessions: int
    forced: str


class _Server(asyncssh.SSHServer):
    """Lets one user in by a file of authorized keys, and leads to where it may."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._connection: asyncssh.SSHServerConnection | None = None

    def connection_made(self, conn: asyncssh.SSHServerConnection) -> None:
        self._connection = conn

    def begin_auth(self, username: str) -> bool:  # noqa: ARG002 - its signature
        sys.stderr.write("userauth\n")
        return True

    def public_key_auth_supported(self) -> bool:
        return True

    def validate_public_key(self, username: str, key: asyncssh.SSHKey) -> bool:
        known = Path(self._settings.keys).read_text().splitlines()
        return username == self._settings.user and any(
            line and not line.startswith("#") and _data(line) == key.public_data for line in known
        )

    def connection_requested(self, dest_host: str, dest_port: int, *_: object) -> bool:
        return f"{dest_host}:{dest_port}" in self._settings.ways


def _data(line: str) -> bytes:
    try:
        return asyncssh.import_public_key(line).public_data
    except asyncssh.KeyImportError:
        return b""


async def _run(peer: Any, forced: str) -> None:
    """Run a command, without input and for a second at most; nothing else is asked of this server."""
    pipe, nothing = asyncio.subprocess.PIPE, asyncio.subprocess.DEVNULL
    process = await asyncio.create_subprocess_exec(
        *("timeout", "1", "/bin/sh", "-c", forced or peer.command or ""), stdin=nothing, stdout=pipe, stderr=pipe
    )
    output, errors = await process.communicate()
    peer.stdout.write(output[:MAX_BYTES])
    peer.stderr.write(errors[:MAX_BYTES])
    peer.exit(process.returncode or 0)


async def serve(settings: Settings) -> None:
    """Serve until killed."""
    chroot = settings.folder.encode()
    sessions: dict[str, Any] = {
        "process_factory": lambda peer: _run(peer, settings.forced),
        "sftp_factory": lambda channel: asyncssh.SFTPServer(channel, chroot=chroot),
    }
    acceptor = await asyncssh.listen(
        *(settings.host, settings.port),
        server_factory=lambda: _Server(settings),
        server_host_keys=[f"{settings.folder}/host_key"],
        encoding=None,
        config=None,
        **(sessions if settings.sessions else {}),
    )
    await acceptor.wait_closed()


if __name__ == "__main__":
    asyncio.run(serve(msgspec.json.decode(sys.argv[1], type=Settings)))
