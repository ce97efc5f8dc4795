# Generated from shoal/events/v1/ by `python -m generate`; do not edit.
"""The messages of version 1."""

from shoal_events.v1.account import AccountCreated, AccountDeleted
from shoal_events.v1.agent import (
    AgentConnected,
    AgentDeleted,
    AgentDisconnected,
    AgentOffline,
    AgentOnline,
    AgentRegistered,
    AgentUpdated,
)
from shoal_events.v1.agent_pairing import (
    AgentPairingConfirmed,
    AgentPairingPermissionChanged,
    AgentPairingProposed,
    AgentPairingRevoked,
)
from shoal_events.v1.api_key import ApiKeyRevoked
from shoal_events.v1.assignment import AssignmentChanged
from shoal_events.v1.connection import (
    ConnectionAccepted,
    ConnectionAddressed,
    ConnectionBlocked,
    ConnectionInvited,
    ConnectionRejected,
    ConnectionRevoked,
    ConnectionUnblocked,
)
from shoal_events.v1.cron import CronFinished, CronFired
from shoal_events.v1.instance import (
    InstanceCreated,
    InstanceDeleted,
    InstanceRenamed,
    InstanceRunning,
    InstanceSshKeyApplied,
    InstanceStopped,
)
from shoal_events.v1.login import LoginEnded
from shoal_events.v1.pairing import (
    PairingConfirmed,
    PairingDeleted,
    PairingOpened,
    PairingRenamed,
    PairingTokenReissued,
)
from shoal_events.v1.run import RunApprovalRequested, RunCancelled, RunCompleted, RunFailed, RunInterrupted, RunStarted
from shoal_events.v1.runtime_agent import RuntimeAgentCreated, RuntimeAgentDeleted, RuntimeAgentUpdated
from shoal_events.v1.session import SessionCreated, SessionDeleted
from shoal_events.v1.ssh import SshKeyCreated, SshKeyRotated
from shoal_events.v1.telemetry import Sample, SampleError, SampleGroup, SampleMetrics, SampleSkill, TelemetryBatch
from shoal_events.v1.user import UserCreated, UserDeleted, UserUpdated

__all__ = [
    "AccountCreated",
    "AccountDeleted",
    "AgentConnected",
    "AgentDeleted",
    "AgentDisconnected",
    "AgentOffline",
    "AgentOnline",
    "AgentPairingConfirmed",
    "AgentPairingPermissionChanged",
    "AgentPairingProposed",
    "AgentPairingRevoked",
    "AgentRegistered",
    "AgentUpdated",
    "ApiKeyRevoked",
    "AssignmentChanged",
    "ConnectionAccepted",
    "ConnectionAddressed",
    "ConnectionBlocked",
    "ConnectionInvited",
    "ConnectionRejected",
    "ConnectionRevoked",
    "ConnectionUnblocked",
    "CronFinished",
    "CronFired",
    "InstanceCreated",
    "InstanceDeleted",
    "InstanceRenamed",
    "InstanceRunning",
    "InstanceSshKeyApplied",
    "InstanceStopped",
    "LoginEnded",
    "PairingConfirmed",
    "PairingDeleted",
    "PairingOpened",
    "PairingRenamed",
    "PairingTokenReissued",
    "RunApprovalRequested",
    "RunCancelled",
    "RunCompleted",
    "RunFailed",
    "RunInterrupted",
    "RunStarted",
    "RuntimeAgentCreated",
    "RuntimeAgentDeleted",
    "RuntimeAgentUpdated",
    "Sample",
    "SampleError",
    "SampleGroup",
    "SampleMetrics",
    "SampleSkill",
    "SessionCreated",
    "SessionDeleted",
    "SshKeyCreated",
    "SshKeyRotated",
    "TelemetryBatch",
    "UserCreated",
    "UserDeleted",
    "UserUpdated",
]
