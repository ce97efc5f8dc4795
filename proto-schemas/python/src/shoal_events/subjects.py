"""NATS subjects: how they are put together, and what may stand in them."""

import re

TOKEN = re.compile(r"[A-Za-z0-9_-]{1,64}")
LIVE = "shoal.live"


class InvalidTokenError(ValueError):
    """The value can not be a token of a subject."""

    def __init__(self, value: object) -> None:
        super().__init__(f"not a subject token (1 to 64 letters, digits, _ or -): {value!r}")


def token(value: object) -> str:
    """Return the value if it may stand between two dots of a subject.

    Raises:
        InvalidTokenError: It is no text of 1 to 64 letters, digits, `_` or `-`.
    """
    if isinstance(value, str) and TOKEN.fullmatch(value):
        return value
    raise InvalidTokenError(value)


def live(account_id: str, agent_id: str, frame_type: str) -> str:
    """Where the frames of one type and one agent are heard live: core NATS, never stored.

    Raises:
        InvalidTokenError: One of the three can not stand in a subject.
    """
    return f"{LIVE}.{token(account_id)}.{token(agent_id)}.{token(frame_type)}"
