"""What can be refused here."""

from msgspec import Struct

from shoal.errors import (
    BadRequestError,
    ConflictError,
    ForbiddenError,
    NotFoundError,
    RateLimitedError,
    UnauthorizedError,
)


class Candidate(Struct, frozen=True):
    """An account that a name may stand for."""

    account_id: str
    account_name: str
    email_masked: str


# who asks


class KeyRevokedError(UnauthorizedError):
    """This agent key has been revoked."""

    code = "key_revoked"


class ConnectTokenRefusedError(UnauthorizedError):
    """This connection token is unknown, was already used, or has expired."""


class ScopeMismatchError(ForbiddenError):
    """An agent key speaks for its own agent only; use an account's key or sign in."""

    code = "scope_mismatch"


class PlanLimitReachedError(ForbiddenError):
    """Your plan does not allow more."""

    code = "plan_limit_reached"

    def __init__(self, what: str, limit: int) -> None:
        super().__init__(f"Your plan allows {limit} {what}; end one first, or ask the operator for another plan.")


# agents


class NoSuchAgentError(NotFoundError):
    """There is no such agent."""


class InboxNotOfferedError(NotFoundError):
    """No files are carried between agents here: this is where an inbox would be."""

    code = "inbox_not_offered"


class NoSuchKeyError(NotFoundError):
    """This agent has no such key."""


class AgentExistsError(ConflictError):
    """Your account has an agent by this agent_id already."""

    code = "agent_exists"


class AlreadyDisconnectedError(ConflictError):
    """This agent is disconnected already."""

    code = "already_disconnected"


class AmbiguousRecipientError(BadRequestError):
    """Several accounts have an agent by this name; say which account."""

    code = "ambiguous_recipient"

    def __init__(self, candidates: list[Candidate]) -> None:
        super().__init__()
        self.candidates = candidates


# connections


class NoSuchConnectionError(NotFoundError):
    """There is no such connection."""


class SelfConnectionError(BadRequestError):
    """This address belongs to your own account."""

    code = "self_connection"


class BlockedError(ForbiddenError):
    """One of the two accounts has blocked the other."""

    code = "blocked"


class AlreadyConnectedError(ConflictError):
    """You are connected with this account already."""

    code = "already_connected"


class InvitePendingError(ConflictError):
    """An invite between you and this address is waiting already."""

    code = "invite_pending"


class InviteLimitError(RateLimitedError):
    """Your account has sent as many invites as an hour allows; try again later."""


class OwnInviteError(ForbiddenError):
    """The other side answers this invite, not you."""


class AlreadyProcessedError(ConflictError):
    """This invite has been answered already."""

    code = "already_processed"


class ConnectionAlreadyRevokedError(ConflictError):
    """This connection has ended already."""

    code = "already_revoked"


class NobodyToBlockError(ForbiddenError):
    """Nobody has answered this invite, so there is nobody to block; take it back instead."""


class NoSuchBlockError(NotFoundError):
    """You have no such block."""


# agent pairings


class NoSuchAgentPairingError(NotFoundError):
    """There is no such pairing."""


class ConnectionNotActiveError(BadRequestError):
    """This connection is not active."""

    code = "connection_not_active"


class AgentNotFoundError(NotFoundError):
    """One of the agents was not found or does not belong to the expected account."""

    code = "agent_not_found"


class AgentNotConnectedError(BadRequestError):
    """Your agent has no public key registered."""

    code = "agent_not_connected"


class TargetNotConnectedError(BadRequestError):
    """Their agent has no public key registered."""

    code = "target_not_connected"


class AgentNotAvailableError(ForbiddenError):
    """Their agent is not available for connections."""

    code = "agent_not_available"


class AgentPairingExistsError(ConflictError):
    """These two agents are paired already, or a pairing of them is pending."""

    code = "pairing_exists"


class InvalidStatusError(BadRequestError):
    """The pairing's present status does not allow this."""

    code = "invalid_status"


class CannotConfirmOwnError(ForbiddenError):
    """The other side has to confirm this pairing, not you."""

    code = "cannot_confirm_own"


class CannotRejectOwnError(ForbiddenError):
    """The other side may reject this pairing; you may revoke it."""

    code = "cannot_reject_own"


class AgentPairingAlreadyRevokedError(BadRequestError):
    """This pairing has been revoked already."""

    code = "already_revoked"


class PermissionChangedError(ConflictError):
    """The permission is no longer the one that you mean to confirm; look again."""

    code = "permission_changed"
