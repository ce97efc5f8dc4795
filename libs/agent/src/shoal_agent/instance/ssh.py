"""The SSH server of an instance: keys only, its own home, and no way on but to its two own pages."""

import logging
from collections.abc import Mapping
from pathlib import Path

import asyncssh

from shoal_agent.instance.folder import Folder, Settings
from shoal_agent.instance.shells import Peer, serve_shell

log = logging.getLogger(__name__)

LOGIN_TIMEOUT_S = 30
OWN_NAMES = frozenset({"localhost", "127.0.0.1", "::1"})
Address = tuple[str, int]


class Gatekeeper(asyncssh.SSHServer):
    """Lets in one user, by the keys that stand in the home's `authorized_keys` at that moment."""

    def __init__(self, user: str, keys: Path, ways: Mapping[int, Address]) -> None:
        self._user, self._keys, self._ways = user, keys, ways
        self._connection: asyncssh.SSHServerConnection | None = None

    def connection_made(self, conn: asyncssh.SSHServerConnection) -> None:
        """Remember whose connection this is."""
        self._connection = conn

    def begin_auth(self, username: str) -> bool:  # noqa: ARG002 - its signature
        """Ask everybody for a key."""
        return True

    def public_key_auth_supported(self) -> bool:
        """Offer keys, and nothing else."""
        return True

    def validate_public_key(self, username: str, key: asyncssh.SSHKey) -> bool:
        """Tell whether a key may sign in."""
        is_known = username == self._user and key.public_data in _public_data(self._keys)
        if not is_known:
            log.warning("ssh: refused %s with %s", ascii(username), key.get_fingerprint())
        return is_known

    def auth_completed(self) -> None:
        """Note who came in."""
        log.info("ssh: signed in")

    def connection_requested(self, dest_host: str, dest_port: int, orig_host: str, orig_port: int) -> object:  # type: ignore[override]  # noqa: ARG002
        """Lead to the instance's own pages, wherever they are served; nowhere else."""
        way = self._ways.get(dest_port) if dest_host in OWN_NAMES else None
        if way is None or self._connection is None:
            raise asyncssh.ChannelOpenError(
                asyncssh.OPEN_ADMINISTRATIVELY_PROHIBITED, "only localhost:3000 and localhost:8080"
            )
        return self._connection.forward_connection(*way)


async def open_ssh(folder: Folder, settings: Settings, ways: Mapping[int, Address]) -> asyncssh.SSHAcceptor:
    """Serve SSH.

    Args:
        folder: Has the host key, the keys that may sign in, and the home.
        settings: Say where to listen, and for which user.
        ways: From a port as peers name it to where that is.

    Raises:
        OSError, asyncssh.KeyImportError: It cannot be served.
    """

    async def shell(peer: Peer) -> None:
        await serve_shell(peer, home=folder.home, user=settings.ssh_user)

    return await asyncssh.listen(
        settings.ssh_host,
        settings.ssh_port,
        server_factory=lambda: Gatekeeper(settings.ssh_user, folder.home_keys, ways),
        server_host_keys=[str(folder.host_key)],
        process_factory=shell,
        sftp_factory=lambda channel: asyncssh.SFTPServer(channel, chroot=str(folder.home).encode()),
        encoding=None,
        config=None,
        login_timeout=LOGIN_TIMEOUT_S,
        agent_forwarding=False,
        x11_forwarding=False,
        gss_host=None,
        line_editor=False,
        keepalive_interval=30,
    )


def _public_data(keys: Path) -> set[bytes]:
    """Read a file of authorized keys; lines with options, and what is no key, let nobody in."""
    try:
        lines = keys.read_text(encoding="ascii", errors="replace").splitlines()
    except OSError:
        return set()
    found = set()
    for line in lines:
        try:
            found.add(asyncssh.import_public_key(line).public_data)
        except asyncssh.KeyImportError:
            continue
    return found
