"""Identifiers, secrets and their fingerprints."""

import hashlib
import re
import secrets
from typing import Annotated

from msgspec import Meta

ALPHABET = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
TOKEN_PATTERN = r"^[A-Za-z0-9_-]{1,64}\Z"  # noqa: S105 - a token of a subject

SubjectToken = Annotated[str, Meta(pattern=TOKEN_PATTERN, min_length=1, max_length=64)]
"""An id that may become one token of a NATS subject."""

_BASE, _BITS = len(ALPHABET), 6
_AMBIGUOUS = re.compile(r"//|\\|^/|/\Z|(?:^|/)\.{1,2}(?:[/;]|\Z)")


def new_id(prefix: str, *, length: int = 20) -> str:
    """Make an id such as `pair_4fK2…`: unguessable enough to be unique (119 bits at 20 characters)."""
    return f"{prefix}_{_random(length)}"


def new_secret(prefix: str, *, length: int = 32) -> str:
    """Make a credential such as `telem_…` with at least 128 bits (190 at 32 characters); show it once."""
    return f"{prefix}{_random(length)}"


def fingerprint(secret: str) -> bytes:
    """Hash a high-entropy credential with SHA-256: what is stored and looked up in its place."""
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).digest()


def may_stand_in_path(name: str) -> bool:
    """Tell whether a name that somebody chose can be asked for at the gateway, escaped: `patterns/auth`, `a b?`.

    Slashes may stand singly between others; dot segments, backslashes and what cannot be printed may not.
    """
    return bool(name.strip()) and name.isprintable() and _AMBIGUOUS.search(name) is None


def _random(length: int) -> str:
    """Draw once for all characters: what the remainder makes uneven is less than one part in 2**64."""
    number, drawn = secrets.randbits(_BITS * length + 64), ""
    for _ in range(length):
        drawn += ALPHABET[number % _BASE]
        number //= _BASE
    return drawn
