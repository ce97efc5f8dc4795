"""What is told of presences: their beginnings and ends, each with its version."""

from datetime import datetime

from shoal_events import AgentOffline, AgentOnline
from telemetry_ingest.domain.closings import Gone
from telemetry_ingest.domain.presences import EndedPresence, Presence, PresenceRow

BEGUN, ENDED = 1, 2
"""Versions of a presence: it begins once and ends once, under an epoch of its own."""


def online(presence: Presence | PresenceRow, *, at: datetime) -> AgentOnline:
    """Tell that a presence began."""
    return AgentOnline(
        agent_id=presence.agent_id,
        account_id=presence.account_id,
        pairing_id=presence.pairing_id,
        epoch=presence.epoch,
        at=at,
        version=BEGUN,
    )


def offline(presence: EndedPresence | PresenceRow, *, at: datetime) -> AgentOffline:
    """Tell that a presence ended."""
    return AgentOffline(
        agent_id=presence.agent_id,
        account_id=presence.account_id,
        pairing_id=presence.pairing_id,
        epoch=presence.epoch,
        at=at,
        reason=presence.gone or Gone.LOST,
        version=ENDED,
    )


def as_it_is(presence: PresenceRow) -> AgentOnline | AgentOffline:
    """Tell a presence as the fact that made it what it is."""
    if presence.ended_at is None:
        return online(presence, at=presence.began_at)
    return offline(presence, at=presence.ended_at)
