"""What a tool is."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

import msgspec
from msgspec import Struct

from agent_runtime.ports import ToolPolicy
from agent_runtime.runs.domain.models import ToolSpec, storable
from agent_runtime.runs.errors import ToolError

MAX_RESULT_BYTES = 64 * 1024


class ToolContext(Struct, frozen=True, kw_only=True):
    """On whose behalf a tool is called, and where."""

    account_id: str
    agent_id: str
    session_key: str
    run_id: str
    call_id: str
    workspace: Path


class Tool(Protocol):
    """Something that an agent can do."""

    @property
    def spec(self) -> ToolSpec:
        """What a model is told of it."""
        ...

    @property
    def policy(self) -> ToolPolicy:
        """What happens when an agent calls it whose own policies do not say."""
        ...

    async def call(self, arguments: str, context: ToolContext) -> str:
        """Do it; cancelling ends whatever it started.

        Raises:
            ToolError: It could not be done; the model is told why.
        """
        ...


class ToolSource(Protocol):
    """Whoever has more tools for an account."""

    async def tools(self, account_id: str) -> Sequence[Tool]:
        """List them; a source that cannot be reached has none."""
        ...


def schema_of(arguments: type[Struct]) -> dict[str, Any]:
    """Write the JSON Schema of a tool's arguments, without references."""
    (schema,), components = msgspec.json.schema_components([arguments], ref_template="{name}")
    return _inlined(schema, components)  # type: ignore[no-any-return]


def parse(arguments: str, kind: type[Any]) -> Any:
    """Read a call's arguments.

    Raises:
        ToolError: They are not what the tool takes.
    """
    try:
        return msgspec.json.decode(arguments or "{}", type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ToolError(f"The arguments do not hold: {error}") from error


def shortened(text: str) -> str:
    """Cut a result that a model should not have to read whole."""
    encoded = storable(text).encode()
    if len(encoded) <= MAX_RESULT_BYTES:
        return encoded.decode()
    return encoded[:MAX_RESULT_BYTES].decode("utf-8", "ignore") + "\n… (cut)"


def _inlined(schema: Any, components: dict[str, Any]) -> Any:
    if isinstance(schema, dict):
        if "$ref" in schema:
            return _inlined(components[schema["$ref"]], components)
        return {name: _inlined(value, components) for name, value in schema.items() if name != "title"}
    if isinstance(schema, list):
        return [_inlined(item, components) for item in schema]
    return schema
