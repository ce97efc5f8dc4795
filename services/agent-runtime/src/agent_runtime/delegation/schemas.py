"""What comes in and what goes out, in the contract's words."""

from typing import Annotated, Any

from msgspec import UNSET, Meta, Struct, UnsetType

from agent_runtime.delegation.domain.rules import MAX_NAME, MAX_PATTERN, MAX_PRIORITY, MAX_TARGET, Rule
from agent_runtime.delegation.domain.tasks import ActiveDelegation, History

Name = Annotated[str, Meta(min_length=1, max_length=MAX_NAME)]
Pattern = Annotated[str, Meta(min_length=1, max_length=MAX_PATTERN)]
Target = Annotated[
    str,
    Meta(
        min_length=1,
        max_length=MAX_TARGET,
        description="A model as `provider/model` or by its bare name, or `agent-booster` for plain code.",
    ),
]
Threshold = Annotated[float, Meta(ge=0, le=1)]
Priority = Annotated[int, Meta(ge=0, le=MAX_PRIORITY)]


class RuleView(Struct, frozen=True):
    """The contract's `DelegationRule`."""

    name: str
    pattern: str
    target: str
    complexity_threshold: float
    enabled: bool
    priority: int

    @classmethod
    def from_domain(cls, rule: Rule) -> "RuleView":
        """Show a rule."""
        return cls(rule.name, rule.pattern, rule.target, rule.complexity_threshold, rule.is_enabled, rule.priority)


class PutRule(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Body of `PATCH /api/delegation/rules`: of a rule that there is, what it does not hold stays."""

    name: Name
    pattern: Pattern | UnsetType = UNSET
    """Globs separated by `|`, or `re:` and a regular expression that RE2 takes."""
    target: Target | UnsetType = UNSET
    complexity_threshold: Threshold | UnsetType = UNSET
    enabled: bool | UnsetType = UNSET
    priority: Priority | UnsetType = UNSET
    """The lowest number decides first."""

    @property
    def changes(self) -> dict[str, Any]:
        """The fields of a rule that were given."""
        given = {
            "pattern": self.pattern,
            "target": self.target,
            "complexity_threshold": self.complexity_threshold,
            "is_enabled": self.enabled,
            "priority": self.priority,
        }
        return {field: value for field, value in given.items() if value is not UNSET}


class RuleDeleted(Struct, frozen=True):
    """Answer of `DELETE /api/delegation/rules/{name}`."""

    deleted: str
    success: bool = True


class HistoryView(Struct, frozen=True):
    """The contract's page of history."""

    items: list[ActiveDelegation]
    total: int
    limit: int
    offset: int

    @classmethod
    def from_domain(cls, history: History, *, limit: int, offset: int) -> "HistoryView":
        """Show a page, with how many there are and which part it is."""
        return cls([ActiveDelegation.of(task) for task in history.items], history.total, limit, offset)
