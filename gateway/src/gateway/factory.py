"""How everything here is made, top to bottom."""

import asyncio
import ssl
from collections.abc import Callable, Sequence
from datetime import timedelta

import httpx
import msgspec

from gateway.accounts.usecases.accounts import Accounts
from gateway.accounts.usecases.users import Users
from gateway.addresses import Addresses
from gateway.authentication import Authentication
from gateway.callers import Callers
from gateway.config import Config
from gateway.forwarding import Forwarding
from gateway.front import Front
from gateway.identities import Identities
from gateway.keys.usecases.keys import Keys
from gateway.ledger import Ledger
from gateway.logins.cookies import CookieJar
from gateway.logins.usecases.logins import Logins
from gateway.logins.usecases.password_changes import PasswordChanges
from gateway.logins.usecases.sign_ins import SignIns
from gateway.origins import Origins
from gateway.outbox import HeardOutbox
from gateway.overview.documents import Documents
from gateway.overview.health import SuiteHealth
from gateway.proxy import HttpProxy, WebSocketProxy
from gateway.rate_limits import RateLimit
from gateway.refusals import Refusals
from gateway.revocations import Revocations
from gateway.streams import Streams
from gateway.subjects import Subjects
from shoal.http.door import Door
from shoal.jobs import Job, housekeeping
from shoal.resources import Component, Resources
from shoal_events import Event

CLOSE_S = 1.0


class Factory:
    """Makes the use cases of a request, the front door and the components of the process."""

    def __init__(self, resources: Resources[Config]) -> None:
        config = resources.config
        self.resources = resources
        self._addresses = msgspec.json.decode(config.services, type=dict[str, str])
        is_https = config.public_url.startswith("https:")
        self._jar = CookieJar(is_secure=is_https if config.cookie_secure is None else config.cookie_secure)
        outbox = HeardOutbox(
            bell=resources.bell,
            tracing=resources.tracing,
            hear=self._hear,
        )
        self._subjects = Subjects(config=config, database=resources.database, outbox=outbox)
        self._authentication = Authentication(
            logins=self._subjects.logins,
            keys=self._subjects.keys,
            peers=resources.peers,
            ttl_s=config.principal_ttl.total_seconds(),
        )
        self._revocations = Revocations(
            bus=resources.bus,
            authentication=self._authentication,
            streams=Streams(self._proxies),
            logins=self._subjects.logins,
            keys=self._subjects.keys,
        )
        self._refusals = Refusals()
        self._forwarding = Forwarding(
            addresses=self._addresses,
            identities=Identities(resources.issuer),
            refusals=self._refusals,
            jar=self._jar,
            token_ttl=config.token_ttl,
            tracing=resources.tracing,
        )
        self._probe = httpx.AsyncClient(
            timeout=1, trust_env=False, verify=ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        )  # services speak plain HTTP; loading certificates would take a tenth of a second
        self._suite_health = SuiteHealth(addresses=self._addresses, database=resources.database, client=self._probe)

    # use cases

    def accounts(self) -> Accounts:
        """Accounts."""
        return self._subjects.accounts

    def users(self) -> Users:
        """Users."""
        return self._subjects.users

    def logins(self) -> Logins:
        """Logins."""
        return self._subjects.logins

    def sign_ins(self) -> SignIns:
        """Ways to sign in."""
        return self._subjects.sign_ins

    def password_changes(self) -> PasswordChanges:
        """Changes of passwords."""
        return self._subjects.password_changes

    def keys(self) -> Keys:
        """API keys."""
        return self._subjects.keys

    def authentication(self) -> Authentication:
        """Whose a credential is."""
        return self._authentication

    def jar(self) -> CookieJar:
        """The cookies."""
        return self._jar

    def suite_health(self) -> SuiteHealth:
        """How the suite is."""
        return self._suite_health

    # what every request passes

    def front(self, door: Door) -> Front:
        """Put the front door before the application."""
        config, resources = self.resources.config, self.resources
        strangers = RateLimit("address", config.rate_limit_anonymous)
        callers = Callers(
            addresses=Addresses(config.trusted_proxies, config.inner_networks),
            authentication=self._authentication,
            origins=Origins(config.public_url, config.allowed_origins),
            jar=self._jar,
            strangers=strangers,
        )
        return Front(
            door=door,
            callers=callers,
            forwarding=self._forwarding,
            refusals=self._refusals,
            ledger=Ledger(resources.metrics, log_requests=config.log_requests),
            limits=(RateLimit("principal", config.rate_limit), strangers),
            is_secure=config.public_url.startswith("https:"),
        )

    def documents(self, own: Callable[[], bytes]) -> Documents:
        """The merged OpenAPI document."""
        return Documents(services=self._addresses, peers=self.resources.peers, own=own)

    # what works beside requests

    def components(self) -> list[Component]:
        """List the components in the order of starting."""
        resources, subjects = self.resources, self._subjects
        return [
            resources.relay(),
            self._revocations,
            resources.job(Job("end expired logins", timedelta(seconds=15), subjects.logins.expire)),
            resources.job(Job("forget old logins", timedelta(hours=1), subjects.logins.forget_old)),
            resources.job(Job("forget old sign-ins", timedelta(hours=1), subjects.sign_ins.forget_old)),
            resources.job(housekeeping(resources.database)),
            Closing(self._forwarding, self._probe),
        ]

    def _proxies(self) -> Sequence[HttpProxy | WebSocketProxy]:
        return self._forwarding.proxies()

    def _hear(self, event: Event) -> None:
        self._revocations.hear(event)


class Closing:
    """Gives connections back when the service stops."""

    name = "closing"

    def __init__(self, forwarding: Forwarding, probe: httpx.AsyncClient) -> None:
        self._forwarding = forwarding
        self._probe = probe

    def problem(self) -> str | None:
        """Nothing can be wrong with it."""
        return None

    async def run(self) -> None:
        """Wait for the end, then close."""
        try:
            await asyncio.Event().wait()
        finally:
            await self._forwarding.close(CLOSE_S)
            await self._probe.aclose()
