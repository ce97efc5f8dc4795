"""Refusals of monitoring."""

from shoal.errors import NotFoundError, ValidationError


class BudgetNotFoundError(NotFoundError):
    """The account has no such budget."""

    code = "budget_not_found"


class CredentialNotFoundError(NotFoundError):
    """The account has no login and no key of this id."""

    code = "credential_not_found"


class PriceNotFoundError(NotFoundError):
    """The account has no such price of its own."""

    code = "price_not_found"


class LimitMissingError(ValidationError):
    """A budget limits money (`limit_usd`), tokens (`limit_tokens`) or both."""

    code = "limit_missing"
