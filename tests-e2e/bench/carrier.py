"""One tunnel of ssh-manager's in a process of its own: `carrier.py <folder> <ssh port> <far port> <port>`.

The folder has the key that signs in (`key`) and the server's own (`host_key.pub`).
"""

import getpass
import sys
from pathlib import Path

import asyncssh
import uvloop

from ssh_manager.dialing import ENCRYPTION
from ssh_manager.tunnels.clients import Tunnel


async def carry(folder: Path, ssh_port: int, far_port: int, port: int) -> None:
    """Connect, and carry until killed."""
    connection = await asyncssh.connect(
        *("127.0.0.1", ssh_port),
        username=getpass.getuser(),
        client_keys=[str(folder / "key")],
        known_hosts=([asyncssh.read_public_key(folder / "host_key.pub")], [], []),
        encryption_algs=ENCRYPTION,
        compression_algs=None,
        config=None,
        agent_path=None,
    )
    await Tunnel(connection, far_port, count=lambda _: None).open(port)
    await connection.wait_closed()


if __name__ == "__main__":
    uvloop.run(carry(Path(sys.argv[1]), *(int(given) for given in sys.argv[2:5])))
