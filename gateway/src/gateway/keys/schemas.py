"""What comes in and what goes out, in the contract's words."""

from datetime import datetime
from typing import Annotated

from msgspec import Meta, Struct

from gateway.keys.domain import ApiKey, Kind, OpenedKey


class CreateKey(Struct, frozen=True):
    """Body of `POST …/api-keys`."""

    name: Annotated[str, Meta(min_length=1, max_length=100, pattern=r"\S")]


class KeyCreatedView(Struct, frozen=True):
    """A new key; its secret is shown this once."""

    id: str
    name: str
    api_key: str
    created_at: datetime
    kind: Kind

    @classmethod
    def from_domain(cls, opened: OpenedKey) -> "KeyCreatedView":
        """Show a new key."""
        key = opened.key
        return cls(key.id, key.name, opened.secret, key.created_at, key.kind)


class KeyView(Struct, frozen=True):
    """A key in a list."""

    id: str
    name: str
    prefix: str
    """The secret's beginning and its last four characters."""
    scope: str
    kind: Kind
    user_id: str
    created_at: datetime
    last_used_at: datetime | None

    @classmethod
    def from_domain(cls, key: ApiKey) -> "KeyView":
        """Show a key."""
        return cls(key.id, key.name, key.hint, "account", key.kind, key.user_id, key.created_at, key.last_used_at)


class KeysView(Struct, frozen=True):
    """Answer of `GET …/api-keys`."""

    keys: list[KeyView]

    @classmethod
    def from_domain(cls, keys: list[ApiKey]) -> "KeysView":
        """Show keys."""
        return cls([KeyView.from_domain(key) for key in keys])


class KeyRevokedView(Struct, frozen=True):
    """Answer of `DELETE …/api-keys/{id}`."""

    id: str
    revoked: bool
