"""How what goes through connections is made: tunnels, pages and terminals, in this order."""

from datetime import timedelta

from shoal.jobs import Job
from shoal.resources import Component, Resources
from shoal.subscriptions import Subscription
from shoal_events import AccountDeleted, ApiKeyRevoked, InstanceDeleted, LoginEnded, UserDeleted, UserUpdated
from ssh_manager.config import Config
from ssh_manager.entrance import Entrance
from ssh_manager.pages.clients.http import HttpPages
from ssh_manager.pages.clients.sockets import SocketPages
from ssh_manager.pages.jobs import StayChecks
from ssh_manager.pages.subscribers import TicketSubscribers
from ssh_manager.pages.usecases.pages import Pages
from ssh_manager.pages.usecases.stays import Stays
from ssh_manager.pages.usecases.tickets import Tickets
from ssh_manager.ports import Access, AllowedAddresses, Audit, Fleet, Links
from ssh_manager.terminals.jobs import TerminalChecks
from ssh_manager.terminals.subscribers import TerminalSubscribers
from ssh_manager.terminals.usecases.terminals import Terminals
from ssh_manager.terminals.usecases.viewing import Viewing
from ssh_manager.tunnels.jobs import TunnelChecks
from ssh_manager.tunnels.usecases import Tunnels

TICKETS_EVERY = timedelta(minutes=5)


class Passages:
    """Makes the use cases and components of the three subjects; one of each per process, for connections are too."""

    def __init__(
        self,
        resources: Resources[Config],
        *,
        access: Access,
        fleet: Fleet,
        links: Links,
        audit: Audit,
        addresses: AllowedAddresses,
    ) -> None:
        config, clock = resources.config, resources.clock
        self._resources = resources
        entrance = Entrance(access=access, addresses=addresses)
        self._tunnels = Tunnels(access=access, fleet=fleet, links=links, audit=audit, clock=clock)
        self._tickets = Tickets(database=resources.database, entrance=entrance, lasts=config.ticket_ttl)
        self._stays = Stays(self._tickets)
        self._http = HttpPages()
        self._pages = Pages(
            entrance=entrance,
            tunnels=self._tunnels,
            tickets=self._tickets,
            stays=self._stays,
            http=self._http,
            sockets=SocketPages(),
        )
        self._terminals = Terminals(
            access=access,
            entrance=entrance,
            links=links,
            audit=audit,
            clock=clock,
            idle=config.terminal_idle,
            max_age=config.terminal_age,
        )

    def tunnels(self) -> Tunnels:
        """Give what holds the tunnels of this process."""
        return self._tunnels

    def pages(self) -> Pages:
        """Give what shows the pages of instances."""
        return self._pages

    def terminals(self) -> Terminals:
        """Give what holds the terminals of this process."""
        return self._terminals

    def viewing(self) -> Viewing:
        """Make what shows a terminal to a socket."""
        return Viewing(terminals=self._terminals, clock=self._resources.clock)

    def components(self) -> list[Component]:
        """List what works beside requests, in the order of starting."""
        tickets, terminals = TicketSubscribers(self._tickets), TerminalSubscribers(self._terminals)
        return [
            self._resources.subscriber(
                Subscription(
                    "tickets",
                    {
                        LoginEnded: tickets.on_login_ended,
                        ApiKeyRevoked: tickets.on_api_key_revoked,
                        UserUpdated: tickets.on_user_updated,
                        UserDeleted: tickets.on_user_deleted,
                        AccountDeleted: tickets.on_account_deleted,
                        InstanceDeleted: tickets.on_instance_deleted,
                    },
                )
            ),
            self._resources.subscriber(Subscription("terminals", {UserDeleted: terminals.on_user_deleted})),
            self._resources.job(Job("forget expired tickets", TICKETS_EVERY, self._tickets.forget_expired)),
            TunnelChecks(
                self._tunnels,
                self._resources.config.tunnel_interval.total_seconds(),
                self._resources.metrics.registry,
            ),
            StayChecks(self._stays, self._http),
            TerminalChecks(self._terminals),
        ]
