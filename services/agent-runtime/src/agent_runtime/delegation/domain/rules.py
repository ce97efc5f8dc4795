"""Rules: who does which kind of work.

A rule fits work whose name matches its pattern and whose complexity is at most its threshold. Patterns are globs,
several separated by `|`, or after `re:` a regular expression, found anywhere in the name. Those are run by RE2, whose
time is linear in the name whatever the pattern, so no pattern can hold up the service. Of the rules that fit, the one
with the lowest priority number decides, then the first by name.
"""

import re
from collections.abc import Iterable
from fnmatch import fnmatchcase

import re2
from msgspec import Struct

from agent_runtime.delegation.errors import InvalidRuleError
from shoal.ids import may_stand_in_path

BOOSTER = "agent-booster"
"""The target that is plain code instead of a model."""
REGEX = "re:"
MAX_NAME, MAX_PATTERN, MAX_TARGET, MAX_TOOL_NAME = 64, 256, 128, 64
MAX_PRIORITY = 1_000_000
MAX_RULES = 100
_MAX_ALTERNATIVES = 32
_MODEL = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.:@/+-]*")
"""What providers call models; many are known without their provider, and go by a bare name."""
_MAX_MEMORY = 1024 * 1024


class Rule(Struct, frozen=True, kw_only=True):
    """Who does which kind of work."""

    name: str
    pattern: str
    target: str
    complexity_threshold: float
    is_enabled: bool = True
    priority: int = 100

    def fits(self, tool_name: str, score: float) -> bool:
        """Tell whether the rule is about this work."""
        return self.is_enabled and score <= self.complexity_threshold and matches(self.pattern, tool_name)


def matches(pattern: str, name: str) -> bool:
    """Tell whether a name matches a pattern; never for one that cannot be read."""
    if pattern.startswith(REGEX):
        try:
            return _compiled(pattern).search(name) is not None
        except InvalidRuleError:
            return False
    return any(fnmatchcase(name, glob.strip()) for glob in pattern.split("|") if glob.strip())


def fitting(rules: Iterable[Rule], tool_name: str, score: float) -> list[Rule]:
    """List the rules that fit some work, the one that decides first."""
    found = [rule for rule in rules if rule.fits(tool_name, score)]
    return sorted(found, key=lambda rule: (rule.priority, rule.name))


def check(rule: Rule) -> None:
    """Refuse a rule that could never be used or named.

    Raises:
        InvalidRuleError: It is such a one.
    """
    if rule.name.strip() != rule.name or not may_stand_in_path(rule.name):
        raise InvalidRuleError("name", "printable, and slashes only singly between others")
    if not _MODEL.fullmatch(rule.target):
        raise InvalidRuleError("target", f"a model as provider/model or by its bare name, or {BOOSTER}")
    if rule.pattern.startswith(REGEX):
        _compiled(rule.pattern)
        return
    globs = [glob for glob in rule.pattern.split("|") if glob.strip()]
    if not globs or len(globs) > _MAX_ALTERNATIVES:
        raise InvalidRuleError("pattern", f"1 to {_MAX_ALTERNATIVES} globs, separated by |, or {REGEX} and a pattern")


def _compiled(pattern: str) -> "re2._Regexp[str]":
    options = re2.Options()
    options.max_mem = _MAX_MEMORY
    options.log_errors = False
    try:
        return re2.compile(pattern.removeprefix(REGEX), options)
    except re2.error as error:
        raise InvalidRuleError("pattern", f"{pattern[:64]!r} is no regular expression that RE2 takes") from error
