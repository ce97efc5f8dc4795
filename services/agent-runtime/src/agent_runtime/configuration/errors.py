"""What can be refused here."""

from shoal.errors import ValidationError


class InvalidConfigurationError(ValidationError):
    """The configuration cannot be like this; nothing was changed."""

    code = "invalid_configuration"
