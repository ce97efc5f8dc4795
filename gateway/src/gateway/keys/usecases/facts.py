"""Revoked keys, told as facts."""

from gateway.keys.domain import ApiKey
from shoal_events import ApiKeyRevoked


def revoked(key: ApiKey) -> ApiKeyRevoked:
    """Tell that a key is good no longer."""
    return ApiKeyRevoked(key_id=key.id, account_id=key.account_id, user_id=key.user_id)
