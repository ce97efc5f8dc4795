# Generated from shoal/events/v1/ by `python -m generate`; do not edit.
"""The contracts of Shoal's events as msgspec Structs."""

from shoal_events.message import Event, InvalidMessageError, Message, Part
from shoal_events.subjects import InvalidTokenError
from shoal_events.types import Timestamp
from shoal_events.v1 import (
    AccountCreated,
    AccountDeleted,
    AgentOffline,
    AgentOnline,
    ApiKeyRevoked,
    LoginEnded,
    PairingConfirmed,
    PairingDeleted,
    PairingOpened,
    PairingRenamed,
    PairingTokenReissued,
    Sample,
    SampleError,
    SampleGroup,
    SampleMetrics,
    SampleSkill,
    TelemetryBatch,
    UserCreated,
    UserDeleted,
    UserUpdated,
)

__all__ = [
    "AccountCreated",
    "AccountDeleted",
    "AgentOffline",
    "AgentOnline",
    "ApiKeyRevoked",
    "Event",
    "InvalidMessageError",
    "InvalidTokenError",
    "LoginEnded",
    "Message",
    "PairingConfirmed",
    "PairingDeleted",
    "PairingOpened",
    "PairingRenamed",
    "PairingTokenReissued",
    "Part",
    "Sample",
    "SampleError",
    "SampleGroup",
    "SampleMetrics",
    "SampleSkill",
    "TelemetryBatch",
    "Timestamp",
    "UserCreated",
    "UserDeleted",
    "UserUpdated",
]
