"""What can be refused here."""

from agent_runtime.errors import FieldRefusedError
from shoal.errors import ConflictError, NotFoundError


class RuleNotFoundError(NotFoundError):
    """The account has no such rule."""

    code = "delegation_rule_not_found"


class InvalidRuleError(FieldRefusedError):
    """No rule can be like this."""

    code = "invalid_delegation_rule"


class TooManyRulesError(ConflictError):
    """The account has as many rules as it may; delete one first."""

    code = "too_many_delegation_rules"
