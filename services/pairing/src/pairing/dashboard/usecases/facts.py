"""Dashboard pairings, told as facts."""

from pairing.dashboard.domain import EndReason, Pairing, Status
from shoal_events import PairingConfirmed, PairingDeleted, PairingOpened, PairingRenamed, PairingTokenReissued


def opened(pairing: Pairing) -> PairingOpened:
    """Tell that a pairing waits for an agent."""
    return PairingOpened(
        pairing_id=pairing.id,
        account_id=pairing.account_id,
        user_id=pairing.user_id,
        name=pairing.name,
        expires_at=pairing.expires_at,
        version=pairing.version,
    )


def renamed(pairing: Pairing) -> PairingRenamed:
    """Tell a pairing's new name."""
    return PairingRenamed(
        pairing_id=pairing.id, account_id=pairing.account_id, name=pairing.name, version=pairing.version
    )


def token_reissued(pairing: Pairing) -> PairingTokenReissued:
    """Tell the fingerprint of a pairing's new telemetry token."""
    return PairingTokenReissued(
        pairing_id=pairing.id,
        account_id=pairing.account_id,
        agent_id=pairing.agent_id or "",
        telemetry_token_sha256=(pairing.telemetry_token_hash or b"").hex(),
        version=pairing.version,
    )


def confirmed(pairing: Pairing) -> PairingConfirmed:
    """Tell a confirmed pairing as the fact that made it so."""
    return PairingConfirmed(
        pairing_id=pairing.id,
        account_id=pairing.account_id,
        user_id=pairing.user_id,
        name=pairing.name,
        agent_id=pairing.agent_id or "",
        handle=pairing.handle,
        telemetry_token_sha256=(pairing.telemetry_token_hash or b"").hex(),
        confirmed_at=pairing.confirmed_at or pairing.created_at,
        version=pairing.version,
    )


def ended(pairing: Pairing, reason: EndReason) -> PairingDeleted:
    """Tell an ended pairing as the fact that ended it."""
    return PairingDeleted(
        pairing_id=pairing.id,
        account_id=pairing.account_id,
        agent_id=pairing.agent_id,
        reason=reason,
        version=pairing.version,
    )


def as_it_is(pairing: Pairing) -> PairingConfirmed | PairingDeleted:
    """Tell a pairing that was ever confirmed as the fact that made it what it is."""
    return confirmed(pairing) if pairing.status is Status.ACTIVE else ended(pairing, EndReason.DELETED)
