"""Why we close sockets, and by which code."""

from enum import IntEnum, StrEnum

from msgspec import Struct


class CloseCode(IntEnum):
    """What a socket is closed with: from 4000 on the protocol's own, most with HTTP's status behind the 4."""

    GOING_AWAY = 1001
    TRY_AGAIN = 1013
    BAD_FRAME = 4400
    UNAUTHORIZED = 4401
    FOREIGN_AGENT = 4403
    NO_AUTH = 4408
    PAIRING_ENDED = 4409
    SUPERSEDED = 4410
    TOO_MANY = 4429


class Gone(StrEnum):
    """How an agent's presence ended, as the fact `agent.offline` says it."""

    CLOSED = "closed"
    LOST = "lost"
    REVOKED = "revoked"
    PROCESS_LOST = "process_lost"


class Closing(Struct, frozen=True):
    """Why we close a socket."""

    code: CloseCode
    reason: str
    gone: Gone = Gone.CLOSED


IDLE = Closing(CloseCode.GOING_AWAY, "nothing was heard for too long", Gone.LOST)
RESTARTING = Closing(CloseCode.GOING_AWAY, "restarting")
TRY_AGAIN = Closing(CloseCode.TRY_AGAIN, "try again later")
UNAUTHORIZED = Closing(CloseCode.UNAUTHORIZED, "the credential is not good")
FOREIGN_AGENT = Closing(CloseCode.FOREIGN_AGENT, "the credential does not speak for this agent")
MALFORMED = Closing(CloseCode.BAD_FRAME, "a frame is one JSON object, as text")
NO_AUTH = Closing(CloseCode.NO_AUTH, "no auth frame came")
REVOKED = Closing(CloseCode.UNAUTHORIZED, "the credential is no longer good", Gone.REVOKED)
PAIRING_ENDED = Closing(CloseCode.PAIRING_ENDED, "the pairing was deleted or its token replaced", Gone.REVOKED)
SUPERSEDED = Closing(CloseCode.SUPERSEDED, "a newer socket took over")
TOO_MANY = Closing(CloseCode.TOO_MANY, "too many sockets of this user")
STALLED = Closing(CloseCode.TRY_AGAIN, "answers are not read")
