"""Free ports on loopback."""

import errno
import secrets
import socket

from shoal_embedded.processes import ServerError

LOOPBACK = "127.0.0.1"

# Below the range from which kernels take source ports. A client that reconnects to a loopback port of that range while
# its server is down can be given the same port as source, and then talks to itself and keeps the server out.
_CANDIDATES = range(20_000, 30_000)
_ATTEMPTS = 100
_APART, _LAST = 10_000, 65_535


def free_port() -> int:
    """Find a loopback port that nobody listens on now; nothing reserves it until it is bound.

    Raises:
        ServerError: A hundred candidates in a row are taken.
    """
    with hold_port() as held:
        return int(held.getsockname()[1])


def hold_port() -> socket.socket:
    """Find such a port and keep it from everybody, until the socket that is returned is closed.

    Raises:
        ServerError: A hundred candidates in a row are taken.
    """
    for _ in range(_ATTEMPTS):
        held = socket.socket()
        try:
            held.bind((LOOPBACK, secrets.choice(_CANDIDATES)))
        except OSError:
            held.close()
            continue
        return held
    raise ServerError("ports", f"found no free port from {_CANDIDATES.start} to {_CANDIDATES.stop - 1}")


def ensure_free(host: str, port: int) -> None:
    """Prove that a port can be listened on, before anything else is started.

    Raises:
        ServerError: Somebody listens there; says how to take another.
    """
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            told = f"cannot listen on {host}:{port} ({error.strerror})"
            raise ServerError("gateway", told, cure=_cure(error, port)) from error


def _cure(error: OSError, port: int) -> str:
    another = f"take another port, such as: --port {port + _APART if port + _APART <= _LAST else port - _APART}"
    match error.errno:
        case errno.EADDRINUSE:
            return f"Shoal may run here already; if not, {another}"
        case errno.EACCES:
            return f"ports below 1024 are root's here; {another}"
    return "--host takes an address of this machine: 127.0.0.1, or 0.0.0.0 for all that it has"
