"""What an account and a user are."""

from datetime import datetime

from msgspec import Struct

from shoal.identity import Role


class Account(Struct, frozen=True, kw_only=True):
    """Whose everything is."""

    id: str
    name: str
    plan: str
    is_first: bool
    version: int
    created_at: datetime
    deleted_at: datetime | None = None


class User(Struct, frozen=True, kw_only=True):
    """Somebody who signs in and acts in one account, for ever the same."""

    id: str
    account_id: str
    username: str
    email: str
    role: Role
    version: int
    created_at: datetime
    deleted_at: datetime | None = None


class NewUser(Struct, frozen=True, kw_only=True):
    """What is said about somebody who does not exist yet."""

    username: str
    password: str
    role: Role = Role.USER
    email: str | None = None

    @property
    def address(self) -> str:
        """The e-mail address, or what stands for it: invites name it."""
        return self.email or (self.username if "@" in self.username else f"{self.username}@localhost")


class NewAccount(Struct, frozen=True, kw_only=True):
    """What is said about an account that does not exist yet."""

    name: str
    admin: NewUser


class OpenedAccount(Struct, frozen=True):
    """A new account and its first admin."""

    account: Account
    admin: User
