"""The list of doors, and what those who come in may ask for."""

from shoal.http.app import create_app as create_http_app
from shoal.http.asgi import ASGIApp
from shoal.http.door import Door, Raw
from ssh_manager.audit.controllers import AddressController, AuditController
from ssh_manager.factory import Factory
from ssh_manager.keys.controllers import KeyController
from ssh_manager.links.controllers import LinkController, OverviewController
from ssh_manager.pages.controllers import PATHS, pages_handler
from ssh_manager.terminals.controllers import SOCKET, TerminalController, terminal_socket
from ssh_manager.tunnels.controllers import TunnelController


def create_app(factory: Factory) -> Door:
    """Make the application: every door of this service, behind the library's."""
    return create_http_app(
        factory.resources,
        controllers=[
            LinkController,
            OverviewController,
            KeyController,
            AuditController,
            AddressController,
            TunnelController,
            TerminalController,
        ],
        dependencies={
            "access": factory.access,
            "keys": factory.give_keys,
            "rotation_requests": factory.rotation_requests,
            "link_reports": factory.link_reports,
            "link_requests": factory.link_requests,
            "history": factory.give_history,
            "audit_log": factory.audit_log,
            "allowed_addresses": factory.allowed_addresses,
            "tunnels": factory.passages.tunnels,
            "terminals": factory.passages.terminals,
        },
        raw=_sockets_and_pages(factory),
    )


def _sockets_and_pages(factory: Factory) -> Raw:
    """Serve what is no resource of ours: terminals' sockets, and whatever instances serve."""
    terminal, page = terminal_socket(factory.passages.viewing), pages_handler(factory.passages.pages)

    def find(path: str) -> ASGIApp | None:
        if SOCKET.fullmatch(path):
            return terminal
        return page if PATHS.fullmatch(path) else None

    return find
