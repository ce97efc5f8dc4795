"""What can go wrong, in words for the person who reads it; each class has the exit code of the CLI."""

from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

HINTS: Mapping[str, str] = {
    "invalid_token": "A pairing token works once. Open a new pairing in the dashboard and use its token.",
    "token_expired": "A pairing token lives for 30 minutes. Open a new pairing in the dashboard.",
    "rate_limited": "Too many tries. Wait a minute, then run the same command again.",
    "not_found": "Is this the address of a Shoal gateway? It has no /pairing/confirm.",
    "service_unavailable": "The gateway is up but its pairing service is not. Try again in a minute.",
}
"""What to do about a refusal, by the server's error code."""


class AgentError(Exception):
    """Any error of this package that its user can do something about."""

    exit_code: ClassVar[int] = 1


class InvalidSettingError(AgentError):
    """A value given by the caller cannot be used."""

    exit_code = 2

    def __init__(self, setting: str, problem: str) -> None:
        super().__init__(f"{setting}: {problem}")
        self.setting = setting


class NotPairedError(AgentError):
    """This state directory holds no pairing."""

    exit_code = 3

    def __init__(self, directory: Path) -> None:
        super().__init__(f"not paired: {directory} holds no pairing; run `shoal-agent pair` first")


class PairingRefusedError(AgentError):
    """The server refused to confirm the pairing.

    Attributes:
        code: The server's error code, such as `invalid_token`; `http_<status>` when it sent none.
        status: The HTTP status.
        message: The server's own words.
        hint: What to do about it, or an empty string.
        request_id: The server's name for this request, or an empty string.
    """

    exit_code = 4

    def __init__(self, code: str, message: str, status: int, request_id: str = "") -> None:
        self.code, self.message, self.status, self.request_id = code, message, status, request_id
        self.hint = HINTS.get(code, "")
        told = f" (request {request_id})" if request_id else ""
        super().__init__(f"the server refused: {message} [{code}]{told}" + (f"\n{self.hint}" if self.hint else ""))


class GatewayUnreachableError(AgentError):
    """No answer came from the gateway, or none that a Shoal gateway would give."""

    exit_code = 5

    def __init__(self, address: str, problem: str, *, is_outcome_unknown: bool = False) -> None:
        again = "The pairing may have been confirmed all the same. If the token is refused now, open a new pairing."
        look = "Is the gateway running, and is this its address?"
        super().__init__(f"no answer from {address}: {problem}\n{again if is_outcome_unknown else look}")
        self.is_outcome_unknown = is_outcome_unknown


class AlreadyRunningError(AgentError):
    """Another process uses this state directory."""

    exit_code = 6

    def __init__(self, directory: Path) -> None:
        super().__init__(f"another shoal-agent is using {directory}; stop it, or choose another state directory")


class FrameTooLargeError(AgentError):
    """A frame exceeds what the journal takes."""

    def __init__(self, size: int, limit: int) -> None:
        super().__init__(f"a frame of {size} bytes exceeds the limit of {limit}")
