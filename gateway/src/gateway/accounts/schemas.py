"""What comes in and what goes out, in the contract's words."""

from datetime import datetime
from typing import Annotated

from msgspec import Meta, Struct

from gateway.accounts.domain import Account, NewAccount, NewUser, OpenedAccount, User
from shoal.identity import Role

Username = Annotated[str, Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9._@+-]{0,63}\Z", max_length=64)]
Password = Annotated[str, Meta(min_length=1, max_length=1024)]
Email = Annotated[str, Meta(pattern=r"^[^@\s\x00-\x1f]{1,64}@[^@\s\x00-\x1f]{1,190}\Z", max_length=255)]
AccountName = Annotated[str, Meta(min_length=1, max_length=100, pattern=r"\S")]


class CreateUser(Struct, frozen=True, forbid_unknown_fields=True):
    """Body of `POST /api/v1/users`."""

    username: Username
    password: Password
    role: Role = Role.USER
    email: Email | None = None
    """The address that connection invites name; by default the name at `localhost`."""

    def to_domain(self) -> NewUser:
        """Read it as a new user."""
        return NewUser(username=self.username, password=self.password, role=self.role, email=self.email)


class CreateAdmin(Struct, frozen=True, forbid_unknown_fields=True):
    """The first admin of an account."""

    username: Username
    password: Password
    email: Email | None = None

    def to_domain(self) -> NewUser:
        """Read it as a new admin."""
        return NewUser(username=self.username, password=self.password, role=Role.ADMIN, email=self.email)


class CreateAccount(Struct, frozen=True, forbid_unknown_fields=True):
    """Body of `POST /api/v1/accounts`."""

    name: AccountName
    admin: CreateAdmin

    def to_domain(self) -> NewAccount:
        """Read it as a new account."""
        return NewAccount(name=self.name, admin=self.admin.to_domain())


class SetRole(Struct, frozen=True, forbid_unknown_fields=True):
    """Body of `PUT /api/v1/users/{id}/role`."""

    role: Role


class ChangeUser(Struct, frozen=True, forbid_unknown_fields=True):
    """Body of `PATCH /api/v1/users/{id}`."""

    email: Email


class ResetPassword(Struct, frozen=True, forbid_unknown_fields=True):
    """Body of `POST /api/v1/users/{id}/reset-password`."""

    password: Password


class Done(Struct, frozen=True):
    """It is done."""

    status: str = "ok"


class UserCreatedView(Struct, frozen=True):
    """A user as the contract's short answers show one."""

    id: str
    username: str
    role: Role
    email: str

    @classmethod
    def from_domain(cls, user: User) -> "UserCreatedView":
        """Show a user."""
        return cls(user.id, user.username, user.role, user.email)


class UserView(Struct, frozen=True):
    """A user in a list."""

    id: str
    username: str
    role: Role
    created_at: datetime
    email: str

    @classmethod
    def from_domain(cls, user: User) -> "UserView":
        """Show a user."""
        return cls(user.id, user.username, user.role, user.created_at, user.email)


class AccountView(Struct, frozen=True):
    """An account."""

    id: str
    name: str
    created_at: datetime
    plan: str

    @classmethod
    def from_domain(cls, account: Account) -> "AccountView":
        """Show an account."""
        return cls(account.id, account.name, account.created_at, account.plan)


class AccountCreatedView(Struct, frozen=True):
    """Answer of `POST /api/v1/accounts`."""

    id: str
    name: str
    created_at: datetime
    plan: str
    admin: UserCreatedView

    @classmethod
    def from_domain(cls, opened: OpenedAccount) -> "AccountCreatedView":
        """Show a new account."""
        account = opened.account
        return cls(
            account.id, account.name, account.created_at, account.plan, UserCreatedView.from_domain(opened.admin)
        )


class AccountsView(Struct, frozen=True):
    """Answer of `GET /api/v1/accounts`."""

    accounts: list[AccountView]
    total: int

    @classmethod
    def from_domain(cls, accounts: list[Account]) -> "AccountsView":
        """Show accounts."""
        return cls([AccountView.from_domain(account) for account in accounts], len(accounts))


class AccountDeletedView(Struct, frozen=True):
    """Answer of `DELETE /api/v1/accounts/{id}`."""

    deleted: bool
    id: str
