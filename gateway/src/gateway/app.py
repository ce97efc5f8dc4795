"""The list of doors, and what those who come in may ask for."""

from gateway.accounts.controllers import AccountController, ExportController, UserController
from gateway.factory import Factory
from gateway.keys.controllers import AccountKeyController, KeyController
from gateway.logins.controllers import AuthController, PasswordController, TokenController
from gateway.overview.controllers import OverviewController, PagesController
from gateway.overview.documents import Documents
from gateway.principals import PrincipalController
from shoal.http.app import create_app as create_http_app, openapi_json
from shoal.http.door import Door


def create_app(factory: Factory) -> Door:
    """Make the application that stands behind the front door."""

    def documents() -> Documents:
        return merged

    door = create_http_app(
        factory.resources,
        controllers=[
            AccountController,
            AccountKeyController,
            AuthController,
            ExportController,
            KeyController,
            OverviewController,
            PagesController,
            PasswordController,
            PrincipalController,
            TokenController,
            UserController,
        ],
        dependencies={
            "accounts": factory.accounts,
            "authentication": factory.authentication,
            "documents": documents,
            "jar": factory.jar,
            "keys": factory.keys,
            "logins": factory.logins,
            "password_changes": factory.password_changes,
            "sign_ins": factory.sign_ins,
            "suite_health": factory.suite_health,
            "users": factory.users,
        },
    )
    merged = factory.documents(own=lambda: openapi_json(door.inside))
    return door
