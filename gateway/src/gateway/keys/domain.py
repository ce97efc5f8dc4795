"""What an API key is."""

from datetime import datetime
from enum import StrEnum

from msgspec import Struct


class Kind(StrEnum):
    """Which contract's clients a key is made for; every key opens the same doors."""

    AGENTDROP = "agd"
    CLAWDNET = "cn"


PREFIXES = {Kind.AGENTDROP: "agd_live_", Kind.CLAWDNET: "cn_"}
"""How keys of each kind begin."""


class ApiKey(Struct, frozen=True, kw_only=True):
    """A key, without its secret."""

    id: str
    user_id: str
    account_id: str
    kind: Kind
    name: str
    hint: str
    """The secret's beginning and its last four characters."""
    created_at: datetime
    last_used_at: datetime | None


class OpenedKey(Struct, frozen=True):
    """A new key with the one copy of its secret."""

    key: ApiKey
    secret: str


class Plan(Struct, frozen=True):
    """What an account may have; None is no limit."""

    max_api_keys: int | None = None
