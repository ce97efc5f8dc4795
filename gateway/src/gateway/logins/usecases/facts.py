"""Ends of logins, told as facts."""

from gateway.logins.domain import EndedLogin
from shoal_events import LoginEnded


def ended(login: EndedLogin) -> LoginEnded:
    """Tell that a login ended."""
    return LoginEnded(login_id=login.id, account_id=login.account_id, user_id=login.user_id, reason=login.end_reason)
