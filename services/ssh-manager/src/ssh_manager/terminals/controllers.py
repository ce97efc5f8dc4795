"""HTTP and WebSocket: terminals of instances."""

import re
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Annotated, Final
from urllib.parse import parse_qs

from litestar import Controller, delete, get
from litestar.params import Parameter

from shoal.errors import AppError, ForbiddenError, UnauthorizedError, UnavailableError
from shoal.http.asgi import ASGIApp, Receive, Scope, Send
from shoal.http.auth import PRINCIPAL, require_user
from shoal.http.errors import send_refusal, to_app_error
from shoal.identity import Principal
from ssh_manager.entrance import Close
from ssh_manager.errors import InstanceNotFoundError, InvalidInstanceIdError, NotConnectedError
from ssh_manager.terminals.domain import Size
from ssh_manager.terminals.errors import (
    ShellFailedError,
    TerminalClosedError,
    TerminalNotFoundError,
    TooManyTerminalsError,
    UnknownShellError,
    UpgradeRequiredError,
)
from ssh_manager.terminals.schemas import TerminalClosed, TerminalList, TerminalView
from ssh_manager.terminals.usecases.terminals import Terminals
from ssh_manager.terminals.usecases.viewing import Asked, Viewing, close

PATH = "/api/v1/instances/{instance_id:str}/terminal"
SOCKET = re.compile(r"/api/v1/instances/([^/]+)/terminal/?")
CODES: Final[Mapping[type[AppError], int]] = MappingProxyType(
    {
        NotConnectedError: 4003,
        InvalidInstanceIdError: 4004,
        InstanceNotFoundError: 4004,
        UnknownShellError: 4400,
        UnauthorizedError: 4401,
        TerminalNotFoundError: 4404,
        TerminalClosedError: 4410,
        TooManyTerminalsError: 4429,
        ShellFailedError: 4502,
        ForbiddenError: 4403,
        UnavailableError: 1013,
    }
)
"""The first that fits says how a socket is closed; anything else is 4500."""
_NUMBER = re.compile(r"[0-9]{1,5}")


def terminal_socket(viewing: Callable[[], Viewing]) -> ASGIApp:
    """Make the handler of terminals' sockets: refusals are close codes, which pages can read, as they can no status."""

    async def terminal(scope: Scope, receive: Receive, send: Send) -> None:
        scope["path_template"] = PATH
        if scope["type"] != "websocket":
            await send_refusal(scope, send, UpgradeRequiredError())
            return
        await receive()
        await send({"type": "websocket.accept", "subprotocol": None, "headers": []})
        principal: Principal = scope[PRINCIPAL]
        try:
            await viewing().hold(_asked(scope), receive, send, by=principal)
        except Exception as error:
            await close(send, _said(to_app_error(error)))
            if not isinstance(error, AppError):
                raise

    return terminal


class TerminalController(Controller):
    """Terminals of the instances that the caller may use."""

    path = f"{PATH}/sessions"
    tags = ("ssh",)
    guards = (require_user,)

    @get("/", operation_id="listTerminals", summary="List an instance's terminals")
    async def show(
        self,
        instance_id: str,
        terminals: Terminals,
        principal: Principal,
        active: Annotated[str, Parameter(description="`true` leaves out those that are closed.")] = "false",
    ) -> TerminalList:
        """List the caller's own, or all for admins; closed ones for a while."""
        found = await terminals.list_for(instance_id, is_active=active == "true", by=principal)
        return TerminalList([TerminalView.from_domain(one) for one in found])

    @delete("/{session_id:str}", operation_id="closeTerminal", summary="Close a terminal", status_code=200)
    async def close(
        self, instance_id: str, session_id: str, terminals: Terminals, principal: Principal
    ) -> TerminalClosed:
        """End its shell."""
        await terminals.close(instance_id, session_id, by=principal)
        return TerminalClosed()


def _asked(scope: Scope) -> Asked:
    query = {name: values[-1] for name, values in parse_qs(scope["query_string"].decode("latin-1")).items()}
    found = SOCKET.fullmatch(scope["path"])
    columns, rows = query.get("cols", ""), query.get("rows", "")
    usual = Size()
    return Asked(
        instance_id=found[1] if found else "",
        session_id=query.get("session_id", ""),
        shell=query.get("shell", ""),
        size=Size.of(
            int(columns) if _NUMBER.fullmatch(columns) else usual.columns,
            int(rows) if _NUMBER.fullmatch(rows) else usual.rows,
        ),
    )


def _said(error: AppError) -> Close:
    code = next((code for kind, code in CODES.items() if isinstance(error, kind)), 4500)
    return Close(code, error.message.encode()[:120].decode(errors="ignore"))
