"""What instances are called in a backend."""

import re

from instance_orchestrator.errors import InvalidInstanceError, InvalidInstanceIdError

PREFIX = "bot-"
MAX_NAME = 52
"""Of the 63 characters of a DNS label, so that derived names such as `<name>-clawdbot` fit too."""
MAX_DISPLAY_NAME = 100
MAX_ID = 2**31 - 1

_BLANKS = re.compile(r"[\s_]+")
_FOREIGN = re.compile(r"[^a-z0-9-]")
_ID = re.compile(r"[0-9]{1,10}")


def name_of(display_name: str) -> str:
    """Make a backend's name of what people call an instance: `Bot Alpha` becomes `bot-alpha`.

    Raises:
        InvalidInstanceError: Nothing of it can stand in such a name.
    """
    slug = _FOREIGN.sub("", _BLANKS.sub("-", display_name.lower())).strip("-")
    if not slug.removeprefix(PREFIX):
        raise InvalidInstanceError("display_name needs at least one letter from a to z or digit")
    return (slug if slug.startswith(PREFIX) else PREFIX + slug)[:MAX_NAME].rstrip("-")


def with_suffix(name: str, suffix: str) -> str:
    """Make a name that ends so and is no longer than a name may be."""
    return name[: MAX_NAME - len(suffix) - 1].rstrip("-") + "-" + suffix


def display_name_of(text: str) -> str:
    """Check what people call an instance.

    Raises:
        InvalidInstanceError: It is empty, too long, or holds control characters.
    """
    text = text.strip()
    if not text:
        raise InvalidInstanceError("display_name is required")
    if len(text) > MAX_DISPLAY_NAME or not text.isprintable():
        raise InvalidInstanceError(f"display_name: at most {MAX_DISPLAY_NAME} printable characters")
    return text


def id_of(text: str) -> int:
    """Read an instance's public id.

    Raises:
        InvalidInstanceIdError: It is not a decimal number below 2^31.
    """
    if not _ID.fullmatch(text) or int(text) > MAX_ID:
        raise InvalidInstanceIdError
    return int(text)
