"""HTTP: signing in and out, and the web chat's token."""

from types import MappingProxyType
from typing import Any

from litestar import Controller, Request, Response, delete, get, post

from gateway.accounts.schemas import Done, ResetPassword
from gateway.accounts.usecases.accounts import Accounts
from gateway.accounts.usecases.users import Users
from gateway.answering import IS_HEAD
from gateway.logins.cookies import CookieJar
from gateway.logins.errors import LinkInvalidError
from gateway.logins.schemas import (
    ChangePassword,
    LoginEndedView,
    LoginView,
    MeView,
    SetUp,
    SetupRequired,
    SignedInView,
    SignIn,
    TokenVerifiedView,
    TokenView,
)
from gateway.logins.usecases.logins import Logins
from gateway.logins.usecases.password_changes import PasswordChanges
from gateway.logins.usecases.sign_ins import SignIns
from gateway.pages import page, wants_page
from shoal.http.auth import require_admin, require_person, require_session, require_user
from shoal.http.description import REFUSED_BY_PAGE
from shoal.http.errors import respond
from shoal.identity import Principal

_NOT_KEPT = MappingProxyType({"cache-control": "no-store"})


def tell_spent(request: Request[Any, Any, Any], error: LinkInvalidError) -> Response[bytes]:
    """Answer people with a page, programs with the common body."""
    refused = respond(request, error)
    return page("link.html", status=refused.status_code) if wants_page(request) else refused


async def leave_unspent(request: Request[Any, Any, Any]) -> Response[None] | None:
    """Answer HEAD, by which messengers look at a link before anybody follows it; after a 405 some would send GET."""
    return Response(None, status_code=204) if IS_HEAD in request.scope else None


class AuthController(Controller):
    """How a browser signs in, who it is then, and how it signs out."""

    path = "/api/v1/auth"
    tags = ("auth",)
    response_headers = _NOT_KEPT

    @get("/setup-required", operation_id="isSetupRequired", summary="Whether there is no account yet")
    async def is_setup_required(self, accounts: Accounts) -> SetupRequired:
        """Tell whether the first account is still to be made."""
        return SetupRequired(await accounts.is_setup_required())

    @post("/setup", operation_id="setUp", summary="Make the first account and its admin", status_code=201)
    async def set_up(
        self, data: SetUp, sign_ins: SignIns, jar: CookieJar, principal: Principal
    ) -> Response[SignedInView]:
        """Make the first account, and sign its admin in."""
        opened = await sign_ins.as_first(data.to_domain(), source=principal.source)
        return Response(SignedInView.from_domain(opened.user), cookies=[jar.keep(opened)])

    @post("/login", operation_id="signIn", summary="Sign in", status_code=200)
    async def sign_in(
        self, data: SignIn, sign_ins: SignIns, jar: CookieJar, principal: Principal
    ) -> Response[SignedInView]:
        """Sign in by name and password; the answer sets the session cookie."""
        opened = await sign_ins.by_password(data.username, data.password, source=principal.source)
        return Response(SignedInView.from_domain(opened.user), cookies=[jar.keep(opened)])

    @get(
        "/link/{code:str}",
        operation_id="followLink",
        summary="Sign in by a one-time link",
        status_code=303,
        before_request=leave_unspent,
        exception_handlers={LinkInvalidError: tell_spent},
        opt={REFUSED_BY_PAGE: True},
    )
    async def follow_link(self, code: str, sign_ins: SignIns, jar: CookieJar, principal: Principal) -> Response[None]:
        """Use a one-time link up: sets the session cookie and leads to the front page."""
        opened = await sign_ins.by_link(code, source=principal.source)
        headers = {"location": "/", "referrer-policy": "no-referrer"}
        return Response(None, headers=headers, cookies=[jar.keep(opened)])

    @post("/logout", operation_id="signOut", summary="Sign out", status_code=200, guards=[require_session])
    async def sign_out(
        self, request: Request[Any, Any, Any], logins: Logins, jar: CookieJar, principal: Principal
    ) -> Response[Done]:
        """End the login, and the web chat's of the same browser; both cookies are taken back."""
        secrets = [request.cookies[name] for name in jar.names.values() if name in request.cookies]
        await logins.sign_out(secrets=secrets, by=principal)
        return Response(Done(), cookies=jar.forget())

    @get("/me", operation_id="me", summary="Who am I", guards=[require_user])
    async def me(self, users: Users, accounts: Accounts, principal: Principal) -> MeView:
        """Show the caller."""
        user = await users.get(principal.user_id, account_id=principal.account_id)
        return MeView.from_domain(user, await accounts.get(principal.account_id), principal)

    @post(
        "/change-password",
        operation_id="changePassword",
        summary="Change the caller's password",
        status_code=200,
        guards=[require_session],
    )
    async def change_password(
        self, data: ChangePassword, password_changes: PasswordChanges, principal: Principal
    ) -> Done:
        """Change the password; every other login of the caller ends."""
        await password_changes.change(data.current_password, data.new_password, by=principal)
        return Done()

    @get("/logins", operation_id="listLogins", summary="Where the caller is signed in", guards=[require_user])
    async def list_all(self, logins: Logins, principal: Principal) -> list[LoginView]:
        """List the caller's logins, newest first."""
        return [LoginView.from_domain(login, principal) for login in await logins.list_for(principal)]

    @delete(
        "/logins/{login_id:str}",
        operation_id="endLogin",
        summary="Sign the caller out elsewhere",
        status_code=200,
        guards=[require_user],
    )
    async def end(self, login_id: str, logins: Logins, principal: Principal) -> LoginEndedView:
        """End one of the caller's logins."""
        await logins.end(login_id, by=principal)
        return LoginEndedView(ended=True, id=login_id)


class PasswordController(Controller):
    """Passwords of other users, for admins of their account."""

    path = "/api/v1/users"
    tags = ("users",)
    guards = (require_admin,)

    @post(
        "/{user_id:str}/reset-password",
        operation_id="resetPassword",
        summary="Give a user a new password",
        status_code=200,
    )
    async def reset(
        self, user_id: str, data: ResetPassword, password_changes: PasswordChanges, principal: Principal
    ) -> Done:
        """Set a password; every login of the user ends."""
        await password_changes.reset(user_id, data.password, account_id=principal.account_id)
        return Done()


class TokenController(Controller):
    """The web chat's bearer token."""

    path = "/api/auth"
    tags = ("auth",)
    response_headers = _NOT_KEPT

    @post(
        "/token",
        operation_id="createToken",
        summary="Make a bearer token",
        status_code=200,
        guards=[require_person],
    )
    async def create(self, sign_ins: SignIns, jar: CookieJar, principal: Principal) -> Response[TokenView]:
        """Make a token for whoever is signed in; a cookie carries it to sockets, which cannot send headers."""
        opened = await sign_ins.for_web_chat(by=principal)
        return Response(TokenView(opened.secret), cookies=[jar.keep(opened)])

    @get("/verify", operation_id="verifyToken", summary="Whether the bearer token is good", guards=[require_user])
    async def verify(self, principal: Principal, logins: Logins) -> TokenVerifiedView:
        """Tell that the token is good, and for how long if it is not used."""
        return TokenVerifiedView(valid=True, expires_at=await logins.expiry_of(principal.credential_id))

    @post("/revoke", operation_id="revokeToken", summary="End the bearer token", status_code=200, guards=[require_user])
    async def revoke(self, logins: Logins, jar: CookieJar, principal: Principal) -> Response[LoginEndedView]:
        """End the token that the caller came with, and those it opened; its cookie is taken back."""
        await logins.end(principal.credential_id, by=principal)
        view = LoginEndedView(ended=True, id=principal.credential_id)
        return Response(view, cookies=[jar.forget_token()])
