"""What can be refused here."""

from shoal.errors import UnavailableError


class LinksUnavailableError(UnavailableError):
    """The SSH manager is not at work yet"""  # noqa: D415 - as its siblings

    code = "ssh_manager_unavailable"
