"""What tunnels lead to."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from ssh_manager.ports import TunnelService

REMOTE_PORTS: Final[Mapping[TunnelService, int]] = MappingProxyType(
    {TunnelService.VNC: 3000, TunnelService.GATEWAY: 8080}
)
"""The ports of an instance, as its SSH server names them."""
REMOTE_HOST: Final = "localhost"
"""The one name that hardened SSH servers let tunnels lead to."""
LOCAL_HOST: Final = "127.0.0.1"
LOST: Final = "the SSH connection was lost"
