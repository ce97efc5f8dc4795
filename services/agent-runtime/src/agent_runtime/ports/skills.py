"""What agents are told beside their instructions."""

from collections.abc import Sequence
from typing import Protocol

from msgspec import Struct


class ActiveSkill(Struct, frozen=True, kw_only=True):
    """A skill that an agent uses: what it is told, and which tools it may use for it (None: all of its own)."""

    name: str
    instructions: str
    allowed_tools: tuple[str, ...] | None = None


class Skills(Protocol):
    """Reads the skills that agents are given."""

    async def active(self, account_id: str, names: Sequence[str]) -> Sequence[ActiveSkill]:
        """Read those of these skills that are installed and enabled, in this order."""
        ...
