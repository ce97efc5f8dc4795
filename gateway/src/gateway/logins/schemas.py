"""What comes in and what goes out, in the contracts' words."""

from datetime import datetime
from typing import Annotated

from msgspec import Meta, Struct

from gateway.accounts.domain import Account, NewAccount, NewUser, User
from gateway.accounts.schemas import AccountName, Email, Password, Username
from gateway.logins.domain import Kind, Login
from shoal.identity import Principal, Role

Text = Annotated[str, Meta(max_length=4096)]


class SignIn(Struct, frozen=True):
    """Body of `POST /api/v1/auth/login`."""

    username: Annotated[str, Meta(max_length=256)] = ""
    password: Text = ""


class SetUp(Struct, frozen=True, forbid_unknown_fields=True):
    """Body of `POST /api/v1/auth/setup`."""

    username: Username
    password: Password
    email: Email | None = None
    account: AccountName = "Home"
    """The first account's name."""

    def to_domain(self) -> NewAccount:
        """Read it as the first account."""
        admin = NewUser(username=self.username, password=self.password, role=Role.ADMIN, email=self.email)
        return NewAccount(name=self.account, admin=admin)


class ChangePassword(Struct, frozen=True, forbid_unknown_fields=True):
    """Body of `POST /api/v1/auth/change-password`."""

    current_password: Text
    new_password: Text


class SetupRequired(Struct, frozen=True):
    """Answer of `GET /api/v1/auth/setup-required`."""

    setup_required: bool


class SignedInView(Struct, frozen=True):
    """A user who is signed in."""

    id: str
    username: str
    role: Role

    @classmethod
    def from_domain(cls, user: User) -> "SignedInView":
        """Show a user."""
        return cls(user.id, user.username, user.role)


class OwnAccountView(Struct, frozen=True):
    """An account as its users see it."""

    id: str
    name: str


class MeView(Struct, frozen=True):
    """Answer of `GET /api/v1/auth/me`."""

    id: str
    username: str
    role: Role
    email: str
    account: OwnAccountView
    via: str
    """How the caller came in: `session` or `api_key`."""

    @classmethod
    def from_domain(cls, user: User, account: Account, principal: Principal) -> "MeView":
        """Show the caller."""
        return cls(
            user.id, user.username, user.role, user.email, OwnAccountView(account.id, account.name), principal.via
        )


class LoginView(Struct, frozen=True):
    """A login in a list."""

    id: str
    kind: Kind
    source: str
    created_at: datetime
    last_used_at: datetime
    expires_at: datetime
    is_current: bool

    @classmethod
    def from_domain(cls, login: Login, principal: Principal) -> "LoginView":
        """Show a login."""
        return cls(
            login.id,
            login.kind,
            login.source,
            login.created_at,
            login.last_used_at,
            login.expires_at,
            login.id == principal.credential_id,
        )


class LoginEndedView(Struct, frozen=True):
    """Answer of `DELETE /api/v1/auth/logins/{id}`."""

    ended: bool
    id: str


class TokenView(Struct, frozen=True):
    """Answer of `POST /api/auth/token`; the token is shown this once."""

    token: str


class TokenVerifiedView(Struct, frozen=True):
    """Answer of `GET /api/auth/verify`."""

    valid: bool
    expires_at: datetime | None = None
