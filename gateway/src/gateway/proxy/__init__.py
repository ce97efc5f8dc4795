"""The part of the gateway that forwards HTTP and WebSockets: streamed, bounded, honest about what broke."""

from gateway.proxy.http import HttpProxy, Timeouts
from gateway.proxy.pool import Address, Pool, PoolLimits
from gateway.proxy.websocket import SocketLimits, WebSocketProxy

__all__ = [
    "Address",
    "HttpProxy",
    "Pool",
    "PoolLimits",
    "SocketLimits",
    "Timeouts",
    "WebSocketProxy",
]
