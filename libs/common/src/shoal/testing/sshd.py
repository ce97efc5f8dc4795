"""An SSH server for tests: OpenSSH's own, hardened as instances are; asyncssh's where there is none.

It serves one folder: keys stand in `.ssh/authorized_keys` there, SFTP begins there, and it is the home of shells, which
so read nobody's profile. It can be killed with everything that goes through it, and started again at the same port.
"""

import asyncio
import contextlib
import getpass
import json
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
{forced}
PrintMotd no
PrintLastLog no
Subsystem sftp internal-sftp -d {folder}
"""


def openssh() -> str | None:
    """Find OpenSSH's server; None where it is not installed, or `TEST_SSHD=asyncssh` asks for the other one."""
    if os.environ.get("TEST_SSHD") == "asyncssh":
        return None
    return shutil.which("sshd", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")


class Sshd:
    """One server and its folder.

    Args:
        folder: Its own, made here.
        ways: Where connections may be led to, as `host:port`.
        max_sessions: How many commands, terminals and transfers may run over one connection.
        forced_command: What runs in the place of every command that is asked for.
    """

    def __init__(
        self,
        folder: Path,
        *,
        ways: Sequence[str] = ("localhost:3000", "localhost:8080"),
        max_sessions: int = 10,
        forced_command: str = "",
    ) -> None:
        import asyncssh  # noqa: PLC0415 - only tests of ways into instances need it

        self.folder = folder
        self.host = LOOPBACK
        self.port = free_port()
        self.user = getpass.getuser()
        self._ways = ways
        self._sessions = max_sessions
        self._forced = forced_command
        self._process: asyncio.subprocess.Process | None = None
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
        with (self.folder / "sshd.log").open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(*self._command(), stderr=log)
        await eventually(self._is_listening, (self.folder / "sshd.log").read_text)

    async def kill(self) -> None:
        """End it and every connection at once, as a power cut would."""
        if self._process is None:
            return
        self.freeze()  # it makes no more of them
        for process in reversed(self._processes()):
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        await self._process.wait()
        self._process = None

    def freeze(self) -> None:
        """Let it say nothing more, while its connections stand."""
        for process in self._processes():
            with contextlib.suppress(psutil.NoSuchProcess):
                process.suspend()

    def thaw(self) -> None:
        """Let it go on."""
        for process in self._processes():
            with contextlib.suppress(psutil.NoSuchProcess):
                process.resume()

    def sessions(self) -> int:
        """Count the connections that stand."""
        found = set()
        for process in self._processes():
            with contextlib.suppress(psutil.Error):
                found |= {
                    one.raddr
                    for one in process.net_connections("tcp4")
                    if one.status == psutil.CONN_ESTABLISHED and one.laddr.port == self.port
                }
        return len(found)

    def _processes(self) -> list[psutil.Process]:
        """List the listener and whatever serves its connections."""
        if self._process is None:
            return []
        with contextlib.suppress(psutil.NoSuchProcess):
            listener = psutil.Process(self._process.pid)
            return [listener, *listener.children(recursive=True)]
        return []

    def _command(self) -> list[str]:
        config = {"folder": str(self.folder), "port": self.port, "keys": str(self._obeyed), "sessions": self._sessions}
        if (binary := openssh()) is None:
            sys.stderr.write("OpenSSH's server is not there: asyncssh's stands in for it\n")
            settings = config | {"host": self.host, "user": self.user, "ways": list(self._ways), "forced": self._forced}
            return [sys.executable, "-m", "shoal.testing.asyncssh_server", json.dumps(settings)]
        if os.geteuid() == 0:
            os.makedirs("/run/sshd", exist_ok=True)  # noqa: PTH103 - a server for tests may wait for that
        file = self.folder / "sshd_config"
        forced = f"ForceCommand {self._forced}" if self._forced else ""
        file.write_text(CONFIG.format(**config, ways=" ".join(self._ways), forced=forced))
        return [binary, "-D", "-e", "-f", str(file)]

    async def _is_listening(self) -> bool:
        assert self._process is not None
        assert self._process.returncode is None, (self.folder / "sshd.log").read_text()
        with contextlib.suppress(OSError):
            _, writer = await asyncio.open_connection(self.host, self.port)
            writer.close()
            return True
        return False
