"""Pairings, as far as telemetry must know them."""

from msgspec import Struct


class Pairing(Struct, frozen=True, kw_only=True):
    """A copy of a pairing that was confirmed once; an ended one stays as a tombstone."""

    id: str
    account_id: str
    user_id: str
    agent_id: str
    token_hash: bytes | None
    is_ended: bool
