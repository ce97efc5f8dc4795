# Generated from shoal/events/v1/ by `python -m generate`; do not edit.
"""The messages of version 1."""

from shoal_events.v1.account import AccountCreated, AccountDeleted
from shoal_events.v1.agent import AgentOffline, AgentOnline
from shoal_events.v1.api_key import ApiKeyRevoked
from shoal_events.v1.login import LoginEnded
from shoal_events.v1.pairing import (
    PairingConfirmed,
    PairingDeleted,
    PairingOpened,
    PairingRenamed,
    PairingTokenReissued,
)
from shoal_events.v1.telemetry import Sample, SampleError, SampleGroup, SampleMetrics, SampleSkill, TelemetryBatch
from shoal_events.v1.user import UserCreated, UserDeleted, UserUpdated

__all__ = [
    "AccountCreated",
    "AccountDeleted",
    "AgentOffline",
    "AgentOnline",
    "ApiKeyRevoked",
    "LoginEnded",
    "PairingConfirmed",
    "PairingDeleted",
    "PairingOpened",
    "PairingRenamed",
    "PairingTokenReissued",
    "Sample",
    "SampleError",
    "SampleGroup",
    "SampleMetrics",
    "SampleSkill",
    "TelemetryBatch",
    "UserCreated",
    "UserDeleted",
    "UserUpdated",
]
