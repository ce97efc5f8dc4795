"""An SSH server for tests: OpenSSH's own, hardened as instances are; asyncssh's where there is none.

It serves one folder: keys stand in `.ssh/authorized_keys` there, SFTP begins there, and it is the home of shells, which
so read nobody's profile. It can be killed with everything that goes through it, and started again at the same port.
"""

import asyncio
import contextlib
import getpass
import os
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import psutil

from shoal.testing.suite import eventually, free_port

LOOPBACK = "127.0.0.1"
# SHLVL: bash reads the user's .bashrc for commands that come by SSH unless it takes itself for a nested shell.
CONFIG = """
Port {port}
ListenAddress 127.0.0.1
HostKey {folder}/host_key
AuthorizedKeysFile {keys}
PidFile none
StrictModes no
UsePAM no
PermitUserEnvironment no
SetEnv SHLVL=9 HOME={folder}
PubkeyAuthentication yes
PasswordAuthentication no
KbdInteractiveAuthentication no
PermitRootLogin prohibit-password
MaxAuthTries 3
LoginGraceTime 30
MaxSessions {sessions}
MaxStartups 10:30:60
AllowTcpForwarding local
PermitOpen {ways}
X11Forwarding no
AllowAgentForwarding no
AllowStreamLocalForwarding no
PermitTunnel no
PrintMotd no
PrintLastLog no
Subsystem sftp internal-sftp -d {folder}
"""


def openssh() -> str | None:
    """Find OpenSSH's server; None where it is not installed."""
    return shutil.which("sshd", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")


class Sshd:
    """One server and its folder.

    Args:
        folder: Its own, made here.
        ways: Where connections may be led to, as `host:port`.
        most_sessions: How many commands, terminals and transfers may run over one connection.
    """

    def __init__(
        self, folder: Path, *, ways: Sequence[str] = ("localhost:3000", "localhost:8080"), most_sessions: int = 10
    ) -> None:
        import asyncssh  # noqa: PLC0415 - only tests of ways into instances need it

        self.folder = folder
        self.host = LOOPBACK
        self.port = free_port()
        self.user = getpass.getuser()
        self._ways = ways
        self._most_sessions = most_sessions
        self._process: asyncio.subprocess.Process | None = None
        self._acceptor: Any = None
        (folder / ".ssh").mkdir(parents=True, mode=0o700)
        self.authorized_keys = folder / ".ssh" / "authorized_keys"
        self.authorized_keys.touch(0o600)
        self.change_host_key(asyncssh.generate_private_key("ssh-ed25519"))

    def change_host_key(self, key: Any) -> None:
        """Show another host key from the next start on."""
        file = self.folder / "host_key"
        file.write_bytes(key.export_private_key("openssh"))
        file.chmod(0o600)
        self.host_public_key: str = key.export_public_key("openssh").decode().strip()

    def admit(self, public_key: str) -> None:
        """Let the owner of a key in, beside those who are let in already."""
        with self.authorized_keys.open("a") as file:
            file.write(public_key + "\n")

    async def start(self, *, authorized_keys: Path | None = None) -> None:
        """Serve; returns when it is listened.

        Args:
            authorized_keys: A file that says who is let in, in the place of the folder's own.
        """
        self._obeyed = authorized_keys or self.authorized_keys
        (self.folder / "sshd_config").write_text(
            CONFIG.format(
                port=self.port,
                folder=self.folder,
                keys=self._obeyed,
                ways=" ".join(self._ways),
                sessions=self._most_sessions,
            )
        )
        if (binary := openssh()) is None:
            await self._start_substitute()
            return
        if os.geteuid() == 0:
            os.makedirs("/run/sshd", exist_ok=True)  # noqa: PTH103 - a server for tests may wait for that
        with (self.folder / "sshd.log").open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                *(binary, "-D", "-e", "-f", str(self.folder / "sshd_config")), stderr=log
            )
        await eventually(self._is_listening, (self.folder / "sshd.log").read_text)

    async def kill(self) -> None:
        """End it and every connection at once, as a power cut would."""
        if self._acceptor is not None:
            await self._acceptor.stop()
            self._acceptor = None
        if self._process is None:
            return
        with contextlib.suppress(psutil.NoSuchProcess):
            listener = psutil.Process(self._process.pid)
            listener.suspend()  # it makes no more of them
            for process in [*listener.children(recursive=True), listener]:
                with contextlib.suppress(psutil.NoSuchProcess):
                    process.kill()
        await self._process.wait()
        self._process = None

    def sessions(self) -> int:
        """Count the connections that stand."""
        if self._process is None:
            return len(self._acceptor.connections) if self._acceptor is not None else 0
        return len(psutil.Process(self._process.pid).children())

    async def _is_listening(self) -> bool:
        assert self._process is not None
        assert self._process.returncode is None, (self.folder / "sshd.log").read_text()
        with contextlib.suppress(OSError):
            _, writer = await asyncio.open_connection(self.host, self.port)
            writer.close()
            return True
        return False

    async def _start_substitute(self) -> None:
        sys.stderr.write("openssh-server is not installed: asyncssh's server stands in for it\n")
        self._acceptor = await _Substitute.listen(self)


class _Substitute:
    """asyncssh's server, where OpenSSH's is not installed."""

    def __init__(self, acceptor: Any) -> None:
        self._acceptor = acceptor
        self.connections: set[Any] = set()

    @classmethod
    async def listen(cls, sshd: Sshd) -> "_Substitute":
        import asyncssh  # noqa: PLC0415 - as above

        made = cls(None)

        class Server(asyncssh.SSHServer):
            def connection_made(self, conn: asyncssh.SSHServerConnection) -> None:
                made.connections.add(conn)
                self._own = conn

            def connection_lost(self, _: Exception | None) -> None:
                made.connections.discard(self._own)

            def begin_auth(self, username: str) -> bool:
                self._own.set_authorized_keys(str(sshd._obeyed))  # noqa: SLF001 - the two are one
                return username == sshd.user

            def session_requested(self) -> Any:
                return super().session_requested() if sshd._most_sessions else False  # noqa: SLF001 - the two are one

            def connection_requested(self, dest_host: str, dest_port: int, *_: object) -> bool:
                return f"{dest_host}:{dest_port}" in sshd._ways  # noqa: SLF001 - the two are one

        made._acceptor = await asyncssh.listen(
            *(sshd.host, sshd.port),
            server_factory=Server,
            server_host_keys=[str(sshd.folder / "host_key")],
            process_factory=_run,
            sftp_factory=lambda channel: asyncssh.SFTPServer(channel, chroot=str(sshd.folder).encode()),
            encoding=None,
            config=None,
        )
        return made

    async def stop(self) -> None:
        self._acceptor.close()
        for connection in list(self.connections):
            connection.abort()
        await self._acceptor.wait_closed()


async def _run(peer: Any) -> None:
    pipe = asyncio.subprocess.PIPE
    command = ["/bin/sh", "-c", peer.command] if peer.command else ["/bin/sh"]
    process = await asyncio.create_subprocess_exec(*command, stdin=pipe, stdout=pipe, stderr=pipe)
    await peer.redirect(process.stdin, process.stdout, process.stderr)
    peer.exit(await process.wait())
