"""What the gateway itself refuses, whatever is asked for; subjects have rooms of their own for the rest."""

from shoal.errors import (
    BadRequestError,
    FieldProblem,
    ForbiddenError,
    NotFoundError,
    RateLimitedError,
    UnavailableError,
    ValidationError,
)


class CredentialUnknownError(NotFoundError):
    """Nobody has this credential."""


class CrossSiteError(ForbiddenError):
    """Pages of other origins may not use your cookies, unless the operator names theirs in GATEWAY_ALLOWED_ORIGINS."""

    code = "cross_site"


class FormRefusedError(CrossSiteError):
    """Send `Content-Type: application/json`: a body of another type could come from a form of another site."""


class OriginNeededError(CrossSiteError):
    """A socket with a cookie needs the Origin of Shoal's own pages; programs send `Authorization: Bearer …` instead."""


class SandboxedPageError(CrossSiteError):
    """A page in a sandbox, such as an instance's own, may not use your cookies; a page of Shoal's own origin may."""


class PasswordRefusedError(ValidationError):
    """This password cannot be used."""

    code = "password_refused"

    def __init__(self, why: str) -> None:
        super().__init__(why, details=[FieldProblem("password", why)])


class ServiceAbsentError(UnavailableError):
    """The service behind this path is not part of this installation."""

    code = "service_absent"


class TokenOutOfScopeError(ForbiddenError):
    """The web chat's token is good for the web chat's routes alone; use a session or an API key."""

    code = "token_out_of_scope"


class TooManyRequestsError(RateLimitedError):
    """Too many requests; slow down."""


class TooManySignInsError(UnavailableError):
    """Too many people are signing in right now; try again."""

    code = "too_many_sign_ins"


class UnsafePathError(BadRequestError):
    """This path can be read in more than one way: leave out `//`, `.`, `..`, backslashes and escapes that break off."""

    code = "unsafe_path"
