"""What can be refused here."""

from shoal.errors import BadRequestError, ConflictError, NotFoundError, UnavailableError


class SkillNotFoundError(NotFoundError):
    """The account has no such skill."""

    code = "skill_not_found"


class PackageNotFoundError(NotFoundError):
    """No registry has a skill of this id."""

    code = "package_not_found"


class InvalidPackageError(BadRequestError):
    """This is no skill package."""

    code = "invalid_package"


class UnsignedPackageError(BadRequestError):
    """The package is not signed by the registry's key, and unsigned ones are not taken here."""

    code = "package_not_signed"


class TooManySkillsError(ConflictError):
    """The account has as many skills as it may; uninstall one first."""

    code = "too_many_skills"


class RegistryUnavailableError(UnavailableError):
    """The skill registry does not answer; try again."""

    code = "registry_unavailable"
