"""Revocations: sockets end when the credential that opened them does, within seconds, in every process."""

from agent_runtime.sockets.usecases.sockets import Sockets
from shoal.listening import Acts
from shoal_events import AccountDeleted, ApiKeyRevoked, LoginEnded, UserDeleted, UserUpdated


def revocations(sockets: Sockets) -> Acts:
    """List what is done about each kind of fact."""
    return {
        ApiKeyRevoked: lambda event, _: sockets.end_credential(event.key_id),
        LoginEnded: lambda event, _: sockets.end_credential(event.login_id),
        UserDeleted: lambda event, _: sockets.end_user(event.user_id),
        UserUpdated: lambda event, _: sockets.revalidate_user(event.user_id),
        AccountDeleted: lambda event, _: sockets.end_account(event.account_id),
    }
