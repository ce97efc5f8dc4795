"""Route families: the two ways in which Shoal's public contracts spell the same refusal.

The error body is one for all contracts; only the spelling of `code` and the status of a validation failure differ.
"""

from enum import StrEnum

from msgspec import Struct


class CodeStyle(StrEnum):
    """How a family spells error codes."""

    LOWER_SNAKE = "lower_snake"
    UPPER_SNAKE = "UPPER_SNAKE"


class Family(Struct, frozen=True):
    """One contract's habits of refusal."""

    name: str
    code_style: CodeStyle
    validation_status: int

    def spell(self, code: str) -> str:
        """Spell a canonical lower_snake code in this family's style."""
        return code.upper() if self.code_style is CodeStyle.UPPER_SNAKE else code


CLAWDNET = Family("clawdnet", CodeStyle.LOWER_SNAKE, 422)
AGENTDROP = Family("agentdrop", CodeStyle.UPPER_SNAKE, 400)
CLAWFT = Family("clawft", CodeStyle.LOWER_SNAKE, 400)
CLAWORC = Family("claworc", CodeStyle.LOWER_SNAKE, 400)

BY_PATH = (
    ("/pairing", CLAWDNET),
    ("/telemetry", CLAWDNET),
    ("/v1/", AGENTDROP),
    ("/api/v1/", CLAWORC),
    ("/api/", CLAWFT),
    ("/ws", CLAWFT),
)
"""Who answers where: the first beginning that fits decides."""


def family_of(path: str) -> Family:
    """Tell which family answers on a path; what belongs to no contract answers as CLAWORC does."""
    return next((family for beginning, family in BY_PATH if path.startswith(beginning)), CLAWORC)
