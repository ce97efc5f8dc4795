"""HTTP: accounts and users."""

from typing import Annotated

from litestar import Controller, delete, get, patch, post, put
from litestar.params import Parameter

from gateway.accounts.schemas import (
    AccountCreatedView,
    AccountDeletedView,
    AccountsView,
    ChangeUser,
    CreateAccount,
    CreateUser,
    Done,
    SetRole,
    UserCreatedView,
    UserView,
)
from gateway.accounts.usecases.accounts import Accounts
from gateway.accounts.usecases.users import Users
from shoal.copies import ExportedFact
from shoal.http.auth import require_admin, require_permitted_service
from shoal.http.pagination import Page
from shoal.identity import Principal


class AccountController(Controller):
    """Accounts of the installation, for admins of the first one."""

    path = "/api/v1/accounts"
    tags = ("accounts",)
    guards = (require_admin,)

    @post("/", operation_id="createAccount", summary="Create an account", status_code=201)
    async def create(self, data: CreateAccount, accounts: Accounts, principal: Principal) -> AccountCreatedView:
        """Make an account and its first admin."""
        return AccountCreatedView.from_domain(await accounts.create(data.to_domain(), by=principal))

    @get("/", operation_id="listAccounts", summary="List accounts")
    async def list_all(self, accounts: Accounts, principal: Principal) -> AccountsView:
        """List accounts, oldest first."""
        return AccountsView.from_domain(await accounts.list_for(principal))

    @delete("/{account_id:str}", operation_id="deleteAccount", summary="Delete an account", status_code=200)
    async def remove(self, account_id: str, accounts: Accounts, principal: Principal) -> AccountDeletedView:
        """Delete an account and all that belongs to it."""
        await accounts.remove(account_id, by=principal)
        return AccountDeletedView(deleted=True, id=account_id)


class UserController(Controller):
    """Users of the caller's account, for its admins."""

    path = "/api/v1/users"
    tags = ("users",)
    guards = (require_admin,)

    @get("/", operation_id="listUsers", summary="List the account's users")
    async def list_all(self, users: Users, principal: Principal) -> list[UserView]:
        """List users, oldest first."""
        return [UserView.from_domain(user) for user in await users.list_for(principal.account_id)]

    @post("/", operation_id="createUser", summary="Create a user", status_code=201)
    async def create(self, data: CreateUser, users: Users, principal: Principal) -> UserCreatedView:
        """Make a user of the account."""
        return UserCreatedView.from_domain(await users.create(data.to_domain(), account_id=principal.account_id))

    @delete("/{user_id:str}", operation_id="deleteUser", summary="Delete a user", status_code=204)
    async def remove(self, user_id: str, users: Users, principal: Principal) -> None:
        """Delete a user; logins and keys end with it."""
        await users.remove(user_id, by=principal)

    @put("/{user_id:str}/role", operation_id="setUserRole", summary="Make a user an admin or not")
    async def set_role(self, user_id: str, data: SetRole, users: Users, principal: Principal) -> Done:
        """Give a user another role, which holds at once."""
        await users.set_role(user_id, data.role, by=principal)
        return Done()

    @patch("/{user_id:str}", operation_id="changeUser", summary="Change a user's address")
    async def change(self, user_id: str, data: ChangeUser, users: Users, principal: Principal) -> UserCreatedView:
        """Give a user another e-mail address: the one that connection invites name."""
        return UserCreatedView.from_domain(await users.set_email(user_id, data.email, by=principal))


class ExportController(Controller):
    """What other services may ask."""

    path = "/internal"
    guards = (require_permitted_service,)
    include_in_schema = False

    @get("/export", operation_id="exportAccounts")
    async def export(
        self, accounts: Accounts, after: str = "", limit: Annotated[int, Parameter(ge=1, le=1000)] = 500
    ) -> Page[ExportedFact]:
        """List every account and user, deleted ones included."""
        return await accounts.export(after, limit)
