"""Requests to addresses that users name: providers, registries, pages. Never to this machine or its networks.

The check stands where the connection is made: the name is resolved once, every address found is judged, and one of
those is connected to. So a name that changes its mind between look-up and connection (DNS rebinding), a redirect, a
decimal or octal spelling of an address and IPv4 inside IPv6 all meet the same judgement, while TLS still proves the
name that was asked for. What an operator hosts is let through by `SHOAL_OUTGOING_ALLOWED`.
"""

from shoal.outgoing.addresses import Allowance, OutgoingRefusedError, is_public
from shoal.outgoing.reading import AnswerTooLargeError, read
from shoal.outgoing.rules import Outgoing

__all__ = ["Allowance", "AnswerTooLargeError", "Outgoing", "OutgoingRefusedError", "is_public", "read"]
