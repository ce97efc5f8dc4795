"""The part of the gateway that forwards HTTP and WebSockets: streamed, bounded, honest about what broke."""

from gateway.proxy.errors import Headers, ProxyError, Refuse
from gateway.proxy.http import HttpProxy, Timeouts
from gateway.proxy.pool import Address, Pool, PoolLimits
from gateway.proxy.websocket import SocketLimits, WebSocketProxy

__all__ = [
    "Address",
    "Headers",
    "HttpProxy",
    "Pool",
    "PoolLimits",
    "ProxyError",
    "Refuse",
    "SocketLimits",
    "Timeouts",
    "WebSocketProxy",
]
