"""SKILL.md: front matter in YAML between two lines of dashes, and beneath it what an agent is told.

Packages come from strangers: they are measured before they are parsed, YAML is read as plain texts, lists and maps
without aliases and not deeper than `MAX_DEPTH`, and what only serves to mislead a model or a reader (control tokens,
invisible characters) is taken out of the instructions.
"""

import re
from typing import Annotated, Any

import msgspec
import yaml
from msgspec import Meta, Struct

from agent_runtime.skills.errors import InvalidPackageError
from shoal.wording import problem_in

FILE = "SKILL.md"
MAX_BYTES = 50 * 1024
MAX_DEPTH = 10

_HEAD = re.compile(r"\A---[ \t]*\n(.*?)\n---[ \t]*(?:\n|\Z)", re.DOTALL)
_CONTROL_TOKENS = re.compile(r"<\|[^|<>\n]{1,64}\|>|\[/?INST\]|<</?SYS>>|</?s>(?=\s|\Z)")
_INVISIBLE = re.compile("[\x00-\x08\x0b-\x1f\x7f\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff\U000e0000-\U000e007f]")
_SEPARATORS = re.compile(r"[,\s]+")

Name = Annotated[str, Meta(pattern=r"^[a-z0-9]+(-[a-z0-9]+)*\Z", max_length=64)]
Description = Annotated[str, Meta(min_length=1, max_length=1024)]
Version = Annotated[str, Meta(pattern=r"^[0-9A-Za-z][0-9A-Za-z.+-]{0,31}\Z")]
Author = Annotated[str, Meta(max_length=128)]
Word = Annotated[str, Meta(pattern=r"^[A-Za-z0-9_.:*-]{1,64}\Z")]
Words = Annotated[list[Word], Meta(max_length=32)]


class Package(Struct, frozen=True, kw_only=True):
    """A skill as its package says.

    Args:
        name: What it is called, unique within an account.
        version: As its author counts.
        description: When to use it.
        author: Who wrote it; may be empty.
        tags: For searching.
        allowed_tools: Which tools an agent may use for it; None: all of its own.
        instructions: What the agent is told.
    """

    name: Name
    version: Version = "0.0.0"
    description: Description
    author: Author = ""
    tags: Words = []
    allowed_tools: Words | None = None
    instructions: Annotated[str, Meta(min_length=1)]


def read_package(content: bytes) -> Package:
    """Read a SKILL.md.

    Raises:
        InvalidPackageError: It is too large, is no text, or its front matter does not hold; says which part.
    """
    if len(content) > MAX_BYTES:
        raise InvalidPackageError(f"{FILE} is larger than {MAX_BYTES} bytes.")
    try:
        text = content.decode("utf-8-sig").replace("\r\n", "\n").replace("\r", "\n")
    except UnicodeDecodeError:
        raise InvalidPackageError(f"{FILE} is not UTF-8.") from None
    head = _HEAD.match(text)
    if head is None:
        raise InvalidPackageError(f"{FILE} does not begin with front matter between lines of three dashes.")
    fields = _fields(_read_yaml(head[1]))
    try:
        return msgspec.convert(fields | {"instructions": clean(text[head.end() :])}, Package)
    except msgspec.ValidationError as error:
        raise InvalidPackageError(f"{FILE}: {problem_in(error).sentence}") from None


def clean(text: str) -> str:
    """Take out of a text what only misleads: models' control tokens and characters that nobody sees."""
    return _CONTROL_TOKENS.sub("", _INVISIBLE.sub("", text)).strip()


def _fields(head: Any) -> dict[str, Any]:
    """Pick what we know from front matter; `metadata` may hold what other tools put at the top."""
    if not isinstance(head, dict):
        raise InvalidPackageError(f"{FILE}: the front matter is not a map.")
    more = head.get("metadata")
    payload = {**(more if isinstance(more, dict) else {}), **head}
    fields = {name: payload[name] for name in ("name", "version", "description", "author") if name in payload}
    if "description" in fields and isinstance(fields["description"], str):
        fields["description"] = clean(fields["description"])
    if "tags" in payload:
        fields["tags"] = _words(payload["tags"])
    if "allowed-tools" in payload:
        fields["allowed_tools"] = _words(payload["allowed-tools"])
    return fields


def _words(given: Any) -> Any:
    """Read a list that may be written as one text."""
    return [word for word in _SEPARATORS.split(given) if word] if isinstance(given, str) else given


class _PlainLoader(yaml.BaseLoader):  # type: ignore[misc]  # untyped
    """Reads texts, lists and maps; refuses aliases and depth, by which small files become large values."""

    depth = 0

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        """Build one node, unless it is an alias or too deep."""
        if self.check_event(yaml.AliasEvent):
            raise InvalidPackageError(f"{FILE}: the front matter has aliases.")
        self.depth += 1
        if self.depth > MAX_DEPTH:
            raise InvalidPackageError(f"{FILE}: the front matter is deeper than {MAX_DEPTH}.")
        node: yaml.Node | None = super().compose_node(parent, index)
        self.depth -= 1
        return node


def _read_yaml(text: str) -> Any:
    try:
        return yaml.load(text, Loader=_PlainLoader)  # noqa: S506 - builds nothing but texts, lists and maps
    except (yaml.YAMLError, TypeError, RecursionError) as error:  # TypeError: a key that is a list
        raise InvalidPackageError(f"{FILE}: the front matter is not YAML ({type(error).__name__}).") from None
