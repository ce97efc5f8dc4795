"""Reading frames: from text to a frame, or to a refusal that says what is wrong with it."""

import re
from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import msgspec

from shoal.wording import problem_in
from telemetry_ingest.domain.frames import AgentFrame, AnyAgentFrame, ClientFrame, Numbered, Ref

MAX_AGE = timedelta(hours=24)
MAX_AHEAD = timedelta(minutes=5)

_NUL = re.compile(rb"(?<!\\)(?:\\\\)*\\u0000")


class RefusedFrameError(Exception):
    """A frame is not taken; the socket stays open."""

    def __init__(self, code: str, message: str, ref: Ref | None = None) -> None:
        self.code, self.message, self.ref = code, message, ref or Ref()
        super().__init__(code)


class MalformedFrameError(Exception):
    """This is no frame at all: not a JSON object, or nested too deep."""


_client_frame = msgspec.json.Decoder(ClientFrame).decode
_agent_frame = msgspec.json.Decoder(AnyAgentFrame).decode
_numbered = msgspec.json.Decoder(Numbered).decode


def read_client_frame(text: str) -> Any:
    """Read what a socket said.

    Raises:
        RefusedFrameError: It is no frame that we know, or breaks its contract.
        MalformedFrameError: It is no JSON object.
    """
    return _read(_client_frame, text, has_nul="\\u0000" in text)


def read_agent_frame(body: bytes | memoryview) -> AgentFrame:
    """Read an item of a batch, with the same errors."""
    frame: AgentFrame = _read(_agent_frame, body, has_nul=b"\\u0000" in bytes(body))
    return frame


def check_time(frame: AgentFrame, now: datetime) -> None:
    """Let in what was measured in the last day. A frame's time is never changed.

    Raises:
        RefusedFrameError: It is older, or the agent's clock is more than five minutes ahead.
    """
    if not now - MAX_AGE <= frame.timestamp <= now + MAX_AHEAD:
        words = "ahead of our clock by more than 5 minutes" if frame.timestamp > now else "older than 24 hours"
        raise RefusedFrameError("timestamp_out_of_range", f"The timestamp is {words}.", Ref(seq=frame.seq))


def _read(decode: Callable[[Any], Any], body: Any, *, has_nul: bool) -> Any:
    try:
        frame = decode(body)
    except msgspec.ValidationError as error:
        raise _refusal(error, body) from None
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError) as error:
        raise MalformedFrameError("a frame is one JSON object") from error
    if has_nul and _NUL.search(body.encode() if isinstance(body, str) else bytes(body)):
        raise RefusedFrameError("invalid_frame", "Text may not hold the character NUL.", _ref(body))
    return frame


def _refusal(error: msgspec.ValidationError, body: Any) -> RefusedFrameError:
    ref = _ref(body)
    if str(error).endswith("- at `$.type`"):
        return RefusedFrameError("unknown_type", "There is no such type of frame.", ref)
    return RefusedFrameError("invalid_frame", problem_in(error).sentence[:300], ref)


def _ref(body: Any) -> Ref:
    try:
        ref: Ref = _numbered(body).ref
    except (msgspec.DecodeError, RecursionError):
        raise MalformedFrameError("a frame is one JSON object") from None
    return ref
