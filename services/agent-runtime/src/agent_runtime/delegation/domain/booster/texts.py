"""Texts: spaces, lines, cases and encodings."""

import base64
import binascii
import hashlib
import re
import unicodedata
from collections.abc import Callable, Mapping
from types import MappingProxyType
from urllib.parse import quote, unquote_to_bytes

from agent_runtime.delegation.domain.booster.refusal import NotForBoosterError

_TRAILING = re.compile(r"[ \t]+$", re.MULTILINE)
_BLANKS = re.compile(r"\n{3,}")
_BOUNDARY = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")
_WORD = re.compile(r"[^\W_]+")


def format_whitespace(text: str) -> str:
    """Even out line ends, drop spaces at their ends, keep at most one blank line, and end with one line end."""
    even = text.replace("\r\n", "\n").replace("\r", "\n")
    return _BLANKS.sub("\n\n", _TRAILING.sub("", even)).strip("\n") + "\n"


def sort_lines(text: str) -> str:
    """Sort lines by code point."""
    return "\n".join(sorted(text.splitlines()))


def unique_lines(text: str) -> str:
    """Keep the first of lines that are the same."""
    return "\n".join(dict.fromkeys(text.splitlines()))


def snake(text: str) -> str:
    """Write words as snake_case."""
    return "_".join(_words(text)).lower()


def kebab(text: str) -> str:
    """Write words as kebab-case."""
    return "-".join(_words(text)).lower()


def camel(text: str) -> str:
    """Write words as camelCase."""
    first, *rest = _words(text)
    return first.lower() + "".join(word.capitalize() for word in rest)


def slug(text: str) -> str:
    """Write words as they stand in an address: a-z, 0-9 and dashes."""
    letters = "".join(
        unicodedata.normalize("NFKD", sign) for sign in text
    )  # at once, thousands of accents take seconds
    plain = letters.encode("ascii", "ignore").decode().lower()
    made = "-".join(_WORD.findall(plain))
    if not made:
        raise NotForBoosterError("nothing is left in ASCII")
    return made


def statistics(text: str) -> str:
    """Count characters, words, lines and bytes."""
    words, lines = len(_WORD.findall(text)), len(text.splitlines())
    return f"{len(text)} characters, {words} words, {lines} lines, {len(_bytes(text))} bytes"


def encode_base64(text: str) -> str:
    """Encode UTF-8 as base64."""
    return base64.b64encode(_bytes(text)).decode()


def decode_base64(text: str) -> str:
    """Decode base64 of UTF-8."""
    try:
        return base64.b64decode("".join(text.split()), validate=True).decode()
    except (binascii.Error, ValueError):
        raise NotForBoosterError("this is no base64 of a text") from None


def encode_url(text: str) -> str:
    """Escape a text for a part of an address."""
    return quote(_bytes(text), safe="")


def decode_url(text: str) -> str:
    """Read a text that was escaped for an address."""
    try:
        return unquote_to_bytes(_bytes(text)).decode()
    except UnicodeDecodeError:
        raise NotForBoosterError("this is no escaped text") from None


def sha256(text: str) -> str:
    """Hash UTF-8 with SHA-256."""
    return hashlib.sha256(_bytes(text)).hexdigest()


def _bytes(text: str) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError:
        raise NotForBoosterError("this is no text") from None


def _words(text: str) -> list[str]:
    words = [part for word in _WORD.findall(text) for part in _BOUNDARY.split(word)]
    if not words:
        raise NotForBoosterError("there are no words")
    return words


TEXTS: Mapping[str, Callable[[str], str]] = MappingProxyType(
    {
        "format-whitespace": format_whitespace,
        "format-sorted-lines": sort_lines,
        "format-unique-lines": unique_lines,
        "format-upper-case": str.upper,
        "format-lower-case": str.lower,
        "format-title-case": str.title,
        "format-snake-case": snake,
        "format-kebab-case": kebab,
        "format-camel-case": camel,
        "format-slug": slug,
        "count-text": statistics,
        "encode-base64": encode_base64,
        "decode-base64": decode_base64,
        "encode-url": encode_url,
        "decode-url": decode_url,
        "hash-sha256": sha256,
    }
)
