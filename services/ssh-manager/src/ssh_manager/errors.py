"""What can be refused by more than one subject."""

from shoal.errors import AppError, BadRequestError, ForbiddenError, NotFoundError, UnavailableError


class InvalidInstanceIdError(BadRequestError):
    """Invalid instance ID"""  # noqa: D415 - the contract's words

    code = "invalid_instance_id"


class InstanceNotFoundError(NotFoundError):
    """Instance not found"""  # noqa: D415 - the contract's words


class InstanceForbiddenError(ForbiddenError):
    """Access denied"""  # noqa: D415 - the contract's words


class NoSshKeyError(BadRequestError):
    """No SSH key is configured for this instance"""  # noqa: D415 - as its siblings

    code = "no_ssh_key"


class KeyTamperedError(ForbiddenError):
    """SSH key integrity check failed: fingerprint mismatch"""  # noqa: D415 - the contract's words

    code = "fingerprint_mismatch"


class AddressRestrictedError(ForbiddenError):
    """The address you come from is not allowed to reach this instance"""  # noqa: D415 - as its siblings

    code = "ip_restricted"

    def __init__(self, source: str) -> None:
        super().__init__(f"Source IP {source or 'unknown'} is not allowed to reach this instance")


class NotConnectedError(UnavailableError):
    """The instance has no active SSH connection"""  # noqa: D415 - as its siblings

    code = "not_connected"


class AuditUnavailableError(UnavailableError):
    """The audit log cannot be written, and nothing is done that it would not show"""  # noqa: D415 - as its siblings

    code = "audit_unavailable"


class PublicKeyUnreadableError(AppError):
    """Failed to parse public key"""  # noqa: D415 - the contract's words

    code = "public_key_unreadable"
