"""Slots: the right of a user to one more socket."""

from msgspec import Struct


class Slot(Struct, frozen=True):
    """The slot that a signed-in socket takes."""

    socket_id: str
    account_id: str
    user_id: str
