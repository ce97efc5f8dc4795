"""Making an SSH connection, with nothing but what is given here: no file, agent or setting of any user is read."""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import timedelta
from types import MappingProxyType
from typing import Any, Final

import asyncssh
from msgspec import Struct

from ssh_manager.ports import Identity, Instance

KEEPALIVE_COUNT = 2
"""Signs of life that may be missed; the next one that is ends the connection."""
HOST_KEY_ALGORITHMS = ("ssh-ed25519",)
ENCRYPTION = ("aes128-gcm@openssh.com", "aes256-gcm@openssh.com", "chacha20-poly1305@openssh.com", "aes256-ctr")
"""The fastest first; what is left out is old."""
NOTHING_ELSE: Final[Mapping[str, Any]] = MappingProxyType(
    {
        "server_host_key_algs": HOST_KEY_ALGORITHMS,
        "encryption_algs": ENCRYPTION,
        "compression_algs": None,
        "config": None,
        "agent_path": None,
        "x509_trusted_certs": None,
        "x509_trusted_cert_paths": (),
        "preferred_auth": "publickey",
        "password_auth": False,
        "kbdint_auth": False,
        "host_based_auth": False,
        "gss_host": None,
        "disable_trivial_auth": True,
    }
)
"""Turns off every way in but the key, and everything that a user's own files would add."""
COMMAND, ANSWER = "echo ping", b"ping\n"


class DialError(Exception):
    """There is no connection; says why in words for people."""


class HostKeyMismatchError(DialError):
    """Whoever answered is not the instance: it shows another host key. It was told nothing about us."""


class KeyRefusedError(DialError):
    """The instance answers, and lets none of our keys in."""


class Dialing(Struct, frozen=True):
    """How connections are made.

    Args:
        connect_timeout: How long an instance may take to accept, and as long again to sign us in.
        keepalive_interval: How often a silent peer is asked for a sign of life.
    """

    connect_timeout: timedelta
    keepalive_interval: timedelta

    async def dial(
        self,
        instance: Instance,
        identities: Sequence[Identity],
        client: asyncssh.SSHClient | None = None,
    ) -> asyncssh.SSHClientConnection:
        """Connect and sign in; the host key is checked before anything is said of who we are.

        Raises:
            HostKeyMismatchError, KeyRefusedError, DialError: That failed.
        """
        max_s = self.connect_timeout.total_seconds()
        try:
            async with asyncio.timeout(2 * max_s + 1):
                return await asyncssh.connect(
                    instance.ssh_host,
                    instance.ssh_port,
                    username=instance.ssh_user,
                    client_factory=lambda: client or asyncssh.SSHClient(),
                    client_keys=[identity.private_key for identity in identities],
                    known_hosts=([asyncssh.import_public_key(instance.host_public_key)], [], []),
                    **NOTHING_ELSE,
                    connect_timeout=max_s,
                    login_timeout=max_s,
                    keepalive_interval=self.keepalive_interval.total_seconds(),
                    keepalive_count_max=KEEPALIVE_COUNT,
                )
        except asyncssh.HostKeyNotVerifiable as error:
            raise HostKeyMismatchError("SSH host key verification failed: another host key was shown") from error
        except asyncssh.PermissionDenied as error:
            raise KeyRefusedError("SSH connection failed: the instance does not accept our key") from error
        except TimeoutError as error:
            raise DialError("SSH connection failed: connection timeout") from error
        # a ValueError: what we were told to connect to is nonsense
        except (OSError, ValueError, asyncssh.Error) as error:
            raise DialError(f"SSH connection failed: {reason_of(error)}") from error


async def prove(connection: asyncssh.SSHClientConnection, *, within_s: float) -> None:
    """Prove that commands run over a connection; no more is read than the answer that there must be.

    Raises:
        TimeoutError: The answer did not come in time.
        asyncssh.Error: The command could not be started, or did not answer as it must.
    """
    async with asyncio.timeout(within_s), connection.create_process(COMMAND, encoding=None) as process:
        try:
            said = await process.stdout.readexactly(len(ANSWER))
        except asyncio.IncompleteReadError as error:
            said = error.partial
    if said != ANSWER:
        raise asyncssh.ProtocolError("the test command did not answer")


def reason_of(error: Exception) -> str:
    """Say in words for people why something did not work."""
    match error:
        case TimeoutError():
            return "no answer in time"
        case ConnectionRefusedError():
            return "connection refused"
        case asyncssh.Error():
            return error.reason or type(error).__name__
        case OSError():
            return error.strerror or type(error).__name__
    return str(error) or type(error).__name__
