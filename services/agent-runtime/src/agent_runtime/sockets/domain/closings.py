"""Why we close sockets, and by which code."""

from enum import IntEnum

from msgspec import Struct


class CloseCode(IntEnum):
    """What a socket is closed with: from 4000 on with HTTP's status behind the 4."""

    GOING_AWAY = 1001
    TRY_AGAIN = 1013
    BAD_FRAME = 4400
    UNAUTHORIZED = 4401
    UNKNOWN = 4404
    NO_AUTH = 4408
    TOO_MANY = 4429


class Closing(Struct, frozen=True):
    """Why we close a socket."""

    code: CloseCode
    reason: str


RESTARTING = Closing(CloseCode.GOING_AWAY, "restarting")
TRY_AGAIN = Closing(CloseCode.TRY_AGAIN, "try again later")
STALLED = Closing(CloseCode.TRY_AGAIN, "frames are not read; connect again and read what stands")
UNAUTHORIZED = Closing(CloseCode.UNAUTHORIZED, "the credential is not good")
REVOKED = Closing(CloseCode.UNAUTHORIZED, "the credential is no longer good")
MALFORMED = Closing(CloseCode.BAD_FRAME, "a frame is one JSON object with a type, as text")
NO_SESSION = Closing(CloseCode.UNKNOWN, "there is no such session")
NO_AUTH = Closing(CloseCode.NO_AUTH, "no auth frame came")
TOO_MANY = Closing(CloseCode.TOO_MANY, "too many sockets of this user")
