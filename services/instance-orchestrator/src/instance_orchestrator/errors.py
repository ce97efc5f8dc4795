"""What can be refused here."""

from shoal.errors import (
    BadRequestError,
    ConflictError,
    ForbiddenError,
    NotFoundError,
    TooLargeError,
    ValidationError,
)


class InvalidInstanceIdError(BadRequestError):
    """Invalid instance ID"""  # noqa: D415 - the contract's words

    code = "invalid_instance_id"


class InstanceNotFoundError(NotFoundError):
    """Instance not found"""  # noqa: D415 - the contract's words


class InstanceForbiddenError(ForbiddenError):
    """Access denied"""  # noqa: D415 - the contract's words


class AdminOnlyError(ForbiddenError):
    """Admin access required"""  # noqa: D415 - the contract's words


class InvalidInstanceError(ValidationError):
    """An instance cannot be like this."""


class NameTakenError(ConflictError):
    """An instance of this name already exists."""

    code = "instance_name_taken"

    def __init__(self, name: str) -> None:
        super().__init__(f"Instance name '{name}' already exists")


class NoFreePortsError(ConflictError):
    """No available NodePorts"""  # noqa: D415 - the contract's words

    code = "no_free_ports"


class IdempotencyKeyReusedError(ConflictError):
    """This Idempotency-Key came with another request before"""  # noqa: D415 - as its siblings

    code = "idempotency_key_reused"


class InvalidConfigError(BadRequestError):
    """Invalid JSON in config"""  # noqa: D415 - the contract's words

    code = "invalid_config"


class ConfigTooLargeError(TooLargeError):
    """The config is larger than 512 KiB."""


class InvalidSettingError(ValidationError):
    """A setting cannot be like this."""


class UserNotFoundError(NotFoundError):
    """User not found"""  # noqa: D415 - the contract's words
