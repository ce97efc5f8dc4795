"""The frames of the telemetry socket, both ways, as the public contract names them."""

from datetime import UTC, datetime

import msgspec
from msgspec import UNSET, Struct, UnsetType


class MetricsBody(Struct, frozen=True, kw_only=True):
    """Gauges and counters of an agent.

    `*_1h` and `*_24h` are rolling windows; `*_total` count since the program started, as `uptime_s` does;
    money is a decimal string; `response_ms` holds the response times since the frame before.
    """

    messages_1h: int = 0
    messages_24h: int = 0
    active_sessions: int = 0
    avg_response_ms: float = 0
    memory_mb: int = 0
    cpu_percent: float = 0
    uptime_s: int = 0
    messages_total: int = 0
    errors_total: int = 0
    revenue_total: str = "0"
    errors_1h: int = 0
    revenue_1h: str = "0"
    tokens_total: int = 0
    response_ms: tuple[float, ...] | UnsetType = UNSET


class SkillBody(Struct, frozen=True, kw_only=True):
    """What one skill did in the last hour."""

    calls_1h: int
    revenue_1h: str
    avg_latency_ms: float


class ErrorBody(Struct, frozen=True, kw_only=True):
    """One error that the agent met."""

    error_type: str
    message: str
    skill: str | UnsetType = UNSET


class Metrics(Struct, frozen=True, kw_only=True, tag_field="type", tag="metrics"):
    """How the agent is."""

    agent_id: str
    timestamp: str
    data: MetricsBody


class Skills(Struct, frozen=True, kw_only=True, tag_field="type", tag="skills"):
    """How its skills are, by name."""

    agent_id: str
    timestamp: str
    data: dict[str, SkillBody]


class Status(Struct, frozen=True, kw_only=True, tag_field="type", tag="status"):
    """What it says of itself: `online`, `busy` or `offline`."""

    agent_id: str
    status: str
    timestamp: str


class Error(Struct, frozen=True, kw_only=True, tag_field="type", tag="error"):
    """An error that it met."""

    agent_id: str
    timestamp: str
    data: ErrorBody


Frame = Metrics | Skills | Status | Error


class Auth(Struct, frozen=True, kw_only=True, tag_field="type", tag="auth"):
    """The first frame of a socket."""

    token: str
    epoch: str
    client: str

    def __repr__(self) -> str:
        """Leave the token out."""
        return f"Auth(epoch={self.epoch!r}, client={self.client!r})"


class Limits(Struct, frozen=True, kw_only=True):
    """What the server takes from one socket."""

    messages_per_second: float = 100
    max_frame_bytes: int = 65_536
    idle_s: float = 300


class AuthSuccess(Struct, frozen=True, kw_only=True, tag_field="type", tag="auth_success"):
    """The server knows the credential."""

    agents: list[str] = []
    limits: Limits = Limits()


class AuthError(Struct, frozen=True, kw_only=True, tag_field="type", tag="auth_error"):
    """The server does not, and is about to close the socket."""

    code: str = "unauthorized"
    message: str = ""


class Ack(Struct, frozen=True, kw_only=True, tag_field="type", tag="ack"):
    """Every frame up to `seq` is stored, or was refused."""

    seq: int


class Pong(Struct, frozen=True, kw_only=True, tag_field="type", tag="pong"):
    """Every frame sent before the matching ping is stored, or was refused."""


class Ref(Struct, frozen=True, kw_only=True):
    """Which frame a refusal is about."""

    seq: int | None = None
    index: int | None = None


class ProtocolError(Struct, frozen=True, kw_only=True, tag_field="type", tag="protocol_error"):
    """The server refused a frame."""

    code: str
    message: str = ""
    ref: Ref | None = None


ServerFrame = AuthSuccess | AuthError | Ack | Pong | ProtocolError

_server_frames: msgspec.json.Decoder[ServerFrame] = msgspec.json.Decoder(ServerFrame)


def encode(frame: Frame | Auth) -> bytes:
    """Return the frame as JSON on one line."""
    return msgspec.json.encode(frame)


def decode(message: str | bytes) -> ServerFrame | None:
    """Return what the server said, or None when it is nothing that an agent listens to."""
    try:
        return _server_frames.decode(message)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None


def number(seq: int, frame: bytes) -> bytes:
    """Return the encoded frame with its `seq`; the same bytes each time, so a resend is exact."""
    return b'{"seq":%d,' % seq + frame[1:]


def timestamp(at: datetime | None = None) -> str:
    """Return a moment, by default now, in RFC 3339 with milliseconds."""
    moment = (at or datetime.now(UTC)).astimezone(UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
