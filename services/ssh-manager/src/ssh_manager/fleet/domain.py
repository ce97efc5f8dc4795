"""What facts say of an instance."""

import re

from ssh_manager.errors import InvalidInstanceIdError
from ssh_manager.ports import Status

MAX_ID = 2**31 - 1
_ID = re.compile(r"[0-9]{1,10}")
_STOPPED = {"asked": Status.STOPPED, "restarting": Status.RESTARTING, "failed": Status.ERROR}


def id_of(text: str) -> int:
    """Read an instance's public id.

    Raises:
        InvalidInstanceIdError: It is not a decimal number below 2^31.
    """
    if not _ID.fullmatch(text) or int(text) > MAX_ID:
        raise InvalidInstanceIdError
    return int(text)


def status_of(reason: str) -> Status:
    """Tell what an instance is that stopped for a reason."""
    return _STOPPED.get(reason, Status.STOPPED)
