"""Failures of this machine and of the network, in words instead of numbers and classes."""

import socket
from typing import Final

_NOBODY: Final = ("Connect call failed", "Multiple exceptions")
"""What asyncio writes, with the error's number, when a connection is refused at one or all addresses of a name."""


def reason(error: BaseException) -> str:
    """Say why something failed, without the system's number for it and without the name of a class."""
    text = str(error)
    if isinstance(error, ConnectionRefusedError) or any(words in text for words in _NOBODY):
        return "nobody answers there"
    if isinstance(error, socket.gaierror):
        return "no host of this name is known"
    if isinstance(error, TimeoutError):
        return "no answer in time"
    if isinstance(error, OSError) and error.strerror:
        about = error.strerror[:1].lower() + error.strerror[1:]
        return f"{error.filename}: {about}" if error.filename else about
    return text or "it failed without a word"
