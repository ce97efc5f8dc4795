"""Variables that hold keys: what they may be called, and how they are shown."""

import re
from collections.abc import Mapping

from instance_orchestrator.errors import InvalidSettingError

ANTHROPIC, OPENAI, BRAVE = "ANTHROPIC_API_KEY", "OPENAI_API_KEY", "BRAVE_API_KEY"
CONTRACT_KEYS: Mapping[str, str] = {
    "anthropic_api_key": ANTHROPIC,
    "openai_api_key": OPENAI,
    "brave_api_key": BRAVE,
}
"""From the contract's fields to the variables that instances are given."""
MASK = "****"
MAX_KEY = 4096
_SHOWN, _LONG = 4, 16
_NAME = re.compile(r"[A-Z][A-Z0-9_]{0,63}")
_RESERVED = re.compile(r"(PATH|HOME|USER|SHELL|IFS|ENV|BASH_ENV|LANG|LC_.*|LD_.*|PYTHON.*|SHOAL_.*|VNC_.*)\Z")


def mask(key: str) -> str:
    """Show the last four characters of a key, as the contract does, where that is no more than a quarter of it."""
    if not key:
        return ""
    return MASK + (key[-_SHOWN:] if len(key) >= _LONG else "")


def check_name(name: str) -> str:
    """Return a variable's name that may be set.

    Raises:
        InvalidSettingError: It is none, or decides how programs are started.
    """
    if not _NAME.fullmatch(name) or _RESERVED.match(name):
        raise InvalidSettingError(f"api_keys: {name!r} is not a variable that may be set")
    return name


def check_key(name: str, key: str) -> str:
    """Return a key that can stand in an environment.

    Raises:
        InvalidSettingError: It is too long or holds control characters.
    """
    if len(key) > MAX_KEY or not key.isprintable() or not key.isascii():
        raise InvalidSettingError(f"{name}: at most {MAX_KEY} printable ASCII characters")
    return key


def changes(given: Mapping[str, str | None]) -> dict[str, str | None]:
    """Read what is to become of which key: a value sets, None or nothing removes, a masked one changes nothing.

    Raises:
        InvalidSettingError: A name or a value cannot be.
    """
    return {
        check_name(name): check_key(name, key) if key else None
        for name, key in given.items()
        if not (key or "").startswith(MASK)
    }
