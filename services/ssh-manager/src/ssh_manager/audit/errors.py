"""What can be refused here."""

from shoal.errors import BadRequestError, ValidationError
from ssh_manager.errors import AuditUnavailableError


class InvalidAddressError(BadRequestError):
    """An entry is neither an IP address nor a CIDR range."""

    code = "invalid_ip"

    def __init__(self, entry: str) -> None:
        super().__init__(f"Invalid IP address or CIDR range: {entry[:60]!r}")


class InvalidQueryError(ValidationError):
    """The query cannot be read."""


class ChainTamperedError(AuditUnavailableError):
    """The audit log was changed from outside; `shoal audit verify` says where"""  # noqa: D415 - as its siblings

    code = "audit_tampered"
