"""Behind the gateway's back: nobody gets anything without an identity that the gateway signed for this service."""

import asyncio
import re
import time
from collections import Counter
from collections.abc import Iterator

import httpx
import jwt
import nats
import pytest
from msgspec import to_builtins
from stack import Stack, telemetry_socket
from stack.figures import tell
from websockets.exceptions import InvalidStatus

from shoal.identity import HEADER, Issuer, Principal, Role, Via, new_key_pair
from shoal_events.catalogue import EVENTS

pytestmark = [pytest.mark.fault, pytest.mark.timeout(120)]

METHODS = {"get", "post", "put", "patch", "delete", "head", "options"}
ADMIN = Principal(via=Via.SESSION, account_id="acct_1", user_id="user_1", username="admin", role=Role.ADMIN)


async def test_every_route_of_every_service_answers_401_to_whoever_is_not_sent_by_the_gateway(stack: Stack) -> None:
    seen: Counter[int] = Counter()
    routes = await described(stack)
    for name in stack.suite.services.keys() - {"gateway"}:
        routes += [(name, "POST", "/internal/principal"), (name, "GET", "/internal/export")]
        routes += [
            (name, "GET", "/internal/openapi.json"),
            (name, "GET", "/internal/schema"),
            (name, "GET", "/nowhere"),
        ]
    async with httpx.AsyncClient(timeout=10, trust_env=False) as client:
        for name, method, path in routes:
            for kind, identity in identities(stack, name):
                headers = {} if identity is None else {HEADER.decode(): identity}
                url = stack.direct_url(name) + re.sub(r"\{[^}]+\}", "x", path)
                answer = await client.request(method, url, headers=headers, json={} if method != "GET" else None)
                seen[answer.status_code] += 1
                assert answer.status_code == httpx.codes.UNAUTHORIZED, f"{name} {method} {path} with {kind} identity"
    tell("forged identity", routes=len(routes), asked=seen.total(), refused_with_401=seen[401])
    assert len(routes) >= 20


async def test_a_socket_behind_the_gateways_back_is_refused(stack: Stack) -> None:
    url = f"ws{stack.direct_url('telemetry-ingest').removeprefix('http')}/telemetry"
    for kind, identity in identities(stack, "telemetry-ingest"):
        headers = {} if identity is None else {HEADER.decode(): identity}
        with pytest.raises(InvalidStatus) as refused:
            await knock(url, headers)
        assert refused.value.response.status_code == httpx.codes.UNAUTHORIZED, kind


async def test_an_identity_that_somebody_sends_along_is_not_believed_by_the_gateway(stack: Stack) -> None:
    forged = stack.issuer("gateway").issue(ADMIN, audience="pairing")
    for name in (HEADER.decode(), "X-Shoal-Identity", "x_shoal_identity"):
        answer = await stack.client(**{name: forged}).get("/pairing")
        assert answer.status_code == httpx.codes.UNAUTHORIZED, name


async def test_an_outsider_cannot_publish_a_fact(stack: Stack) -> None:
    refused: list[str] = []

    async def note(error: Exception) -> None:
        refused.append(str(error).lower())

    assert stack.suite.nats is not None
    outsider = await nats.connect(stack.suite.nats.url_for("consumer"), error_cb=note, inbox_prefix="_INBOX.outsider")
    subjects = [f"{event.subject_prefix}.forged" for event in EVENTS]
    subjects += ["shoal.telemetry.batch.forged", "shoal.live.acct.agent.metrics", "shoal.dead.pairing.x"]
    async with stack.nats() as bus:
        before = (await bus.jetstream().stream_info("EVENTS")).state.last_seq
        for subject in subjects:
            await outsider.publish(subject, b"{}")
        await outsider.flush()
        await asyncio.sleep(0.2)
        last = (await bus.jetstream().stream_info("EVENTS")).state.last_seq
        stored = [(await bus.jetstream().get_msg("EVENTS", n)).subject for n in range(before + 1, last + 1)]
    await outsider.close()
    denied = [subject for subject in subjects if any(subject in error for error in refused)]
    tell("outsider on NATS", tried=len(subjects), refused=len(denied))
    assert not [subject for subject in stored if subject.endswith(".forged")]
    assert len(denied) == len(subjects)


async def described(stack: Stack) -> list[tuple[str, str, str]]:
    """Give service, method and path of every route in the merged OpenAPI document."""
    document = (await stack.client().get("/openapi.json")).json()
    from gateway.routes import match  # noqa: PLC0415 - the table says which service a path is of

    routes = []
    for path, operations in document["paths"].items():
        row = match(re.sub(r"\{[^}]+\}", "x", path).encode())
        assert row is not None, f"{path} is described and leads nowhere"
        assert row.service in stack.suite.services, path
        if row.service != "gateway":
            routes += [(row.service, method.upper(), path) for method in operations if method in METHODS]
    return routes


def identities(stack: Stack, audience: str) -> Iterator[tuple[str, str | None]]:
    """Make every kind of identity that is not good."""
    gateway = stack.issuer("gateway")
    other = next(name for name in stack.suite.services if name not in {audience, "gateway"})
    now = int(time.time())
    claims = {"iss": "gateway", "aud": audience, "sub": ADMIN.subject, "who": to_builtins(ADMIN)}
    private = gateway._key
    yield "no", None
    yield "an empty", ""
    yield "a nonsensical", "not.a.token"
    yield "a stranger's", Issuer("gateway", new_key_pair()[0]).issue(ADMIN, audience=audience)
    yield "an unknown issuer's", Issuer("nobody", new_key_pair()[0]).issue(ADMIN, audience=audience)
    yield "another service's audience in the", gateway.issue(ADMIN, audience=other)
    yield "a service that speaks for a user in the", stack.issuer(other).issue(ADMIN, audience=audience)
    yield "an expired", jwt.encode(claims | {"iat": now - 120, "exp": now - 60}, private, algorithm="EdDSA")
    yield "an everlasting", jwt.encode(claims | {"iat": now, "exp": now + 86400}, private, algorithm="EdDSA")
    yield "an unsigned", jwt.encode(claims | {"iat": now, "exp": now + 60}, None, algorithm="none")


async def knock(url: str, headers: dict[str, str]) -> None:
    """Open a socket and close it."""
    async with telemetry_socket(url, headers=headers):
        pass
