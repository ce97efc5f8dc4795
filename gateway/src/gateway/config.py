"""What this service is told, in the order of the chart's values."""

from datetime import timedelta
from typing import Annotated

from msgspec import Meta

from shoal.config import ServiceConfig, check_networks, check_plans, check_public_url, shared

SHORTEST_PASSWORD = 8
"""In characters, unless configured."""


class Config(ServiceConfig, frozen=True, kw_only=True):
    """Settings of the gateway."""

    public_url: Annotated[str, shared("SHOAL_PUBLIC_URL", check=check_public_url)] = "http://127.0.0.1:8080"
    """Where agents and browsers reach the gateway; its origin is the one that pages may act from."""
    allowed_origins: tuple[str, ...] = ()
    """Further origins, such as `https://dashboard.example`, whose pages may act with a user's cookies."""
    cookie_secure: bool | None = None
    """Whether cookies are sent over TLS only, named `__Host-…`; by default when `public_url` is https."""
    trusted_proxies: Annotated[tuple[str, ...], shared(check=check_networks)] = ()
    """Networks (CIDR) whose `X-Forwarded-For` is believed."""
    inner_networks: Annotated[tuple[str, ...], shared(check=check_networks)] = ()
    """Networks (CIDR) from which probes, scrapers and services come, beside private ones and
    100.64.0.0/10: public IPv6, say."""
    session_idle_ttl: timedelta = timedelta(hours=3)
    """How long a login may go unused."""
    session_ttl: timedelta = timedelta(hours=24)
    """How long a login may last at all."""
    token_ttl: timedelta = timedelta(days=30)
    """How long a token of the web chat may go unused."""
    link_ttl: timedelta = timedelta(minutes=10)
    """How long a one-time sign-in link may be used."""
    password_min_length: Annotated[int, Meta(ge=1)] = SHORTEST_PASSWORD
    """The shortest password, in characters, that is taken."""
    plans: Annotated[str, shared("SHOAL_PLANS", check=check_plans)] = '{"self-hosted": {}}'
    """Limits by plan: a JSON object from plan to `{"max_api_keys": number}`; what is not named is not limited."""
    default_plan: Annotated[str, shared("SHOAL_DEFAULT_PLAN")] = "self-hosted"
    """The plan of new accounts."""
    rate_limit: Annotated[int, Meta(ge=0)] = 1000
    """Requests per second that one user or agent may make of each replica, twice that in a burst; 0 for no limit."""
    rate_limit_anonymous: Annotated[int, Meta(ge=0)] = 500
    """The same for one address without a credential."""
    principal_ttl: timedelta = timedelta(seconds=30)
    """How long a credential is believed without asking again, while revocations are being heard."""
    max_header_bytes: Annotated[int, Meta(ge=1)] = 32 * 1024
    """The largest head of a request: request line and headers."""
    max_headers: Annotated[int, Meta(ge=1)] = 100
    """The most headers of a request."""
    header_timeout: timedelta = timedelta(seconds=10)
    """How long a caller may take to send a head."""
