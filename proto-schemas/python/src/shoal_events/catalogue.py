# Generated from shoal/events/ by `python -m generate`; do not edit.
"""Every event that there is."""

from types import MappingProxyType

from shoal_events import v1
from shoal_events.message import Event

EVENTS: tuple[type[Event], ...] = (
    v1.AccountCreated,
    v1.AccountDeleted,
    v1.AgentOnline,
    v1.AgentOffline,
    v1.AgentRegistered,
    v1.AgentUpdated,
    v1.AgentConnected,
    v1.AgentDisconnected,
    v1.AgentDeleted,
    v1.AgentPairingProposed,
    v1.AgentPairingConfirmed,
    v1.AgentPairingPermissionChanged,
    v1.AgentPairingRevoked,
    v1.ApiKeyRevoked,
    v1.AssignmentChanged,
    v1.ConnectionInvited,
    v1.ConnectionAddressed,
    v1.ConnectionAccepted,
    v1.ConnectionRejected,
    v1.ConnectionRevoked,
    v1.ConnectionBlocked,
    v1.ConnectionUnblocked,
    v1.CronFired,
    v1.CronFinished,
    v1.InstanceCreated,
    v1.InstanceRenamed,
    v1.InstanceRunning,
    v1.InstanceStopped,
    v1.InstanceDeleted,
    v1.InstanceSshKeyApplied,
    v1.LoginEnded,
    v1.PairingOpened,
    v1.PairingConfirmed,
    v1.PairingRenamed,
    v1.PairingTokenReissued,
    v1.PairingDeleted,
    v1.RunStarted,
    v1.RunApprovalRequested,
    v1.RunCompleted,
    v1.RunFailed,
    v1.RunCancelled,
    v1.RunInterrupted,
    v1.RuntimeAgentCreated,
    v1.RuntimeAgentUpdated,
    v1.RuntimeAgentDeleted,
    v1.SessionCreated,
    v1.SessionDeleted,
    v1.SshKeyCreated,
    v1.SshKeyRotated,
    v1.UserCreated,
    v1.UserUpdated,
    v1.UserDeleted,
)
"""In the order of their files."""

BY_TYPE = MappingProxyType({event.event_type: event for event in EVENTS})
"""The same by `ce-type`."""
