"""Accounts and users, told as facts."""

from gateway.accounts.domain import Account, User
from shoal_events import AccountCreated, AccountDeleted, Event, UserCreated, UserDeleted, UserUpdated


def created_account(account: Account) -> AccountCreated:
    """Tell that an account came into being."""
    return AccountCreated(account_id=account.id, name=account.name, plan=account.plan, version=account.version)


def deleted_account(account: Account) -> AccountDeleted:
    """Tell that an account is gone."""
    return AccountDeleted(account_id=account.id, version=account.version)


def created_user(user: User) -> UserCreated:
    """Tell that a user may sign in now."""
    return UserCreated(
        user_id=user.id, account_id=user.account_id, username=user.username, email=user.email, role=user.role,
        version=user.version,
    )  # fmt: skip


def updated_user(user: User) -> UserUpdated:
    """Tell what a user is like now."""
    return UserUpdated(
        user_id=user.id, account_id=user.account_id, username=user.username, email=user.email, role=user.role,
        version=user.version,
    )  # fmt: skip


def deleted_user(user: User) -> UserDeleted:
    """Tell that a user is gone."""
    return UserDeleted(user_id=user.id, account_id=user.account_id, version=user.version)


def of_account(account: Account) -> Event:
    """Tell an account as the fact that made it what it is now."""
    return deleted_account(account) if account.deleted_at else created_account(account)


def of_user(user: User) -> Event:
    """Tell a user as the fact that made it what it is now."""
    return deleted_user(user) if user.deleted_at else created_user(user)
