"""No secret is ever written down."""

import io

import httpx
import pytest

from gateway.cli import make_sign_in_link
from shoal.telemetry import configure_logging
from shoal.testing.suite import Suite


@pytest.fixture
def log():
    stream = io.StringIO()
    configure_logging("debug", stream=stream)
    yield stream
    configure_logging("info")


async def test_canaries_are_in_no_log_no_event_and_no_metric(
    log, outside, admin: httpx.AsyncClient, suite: Suite, rows
) -> None:
    configure_logging("debug", stream=log)
    url = suite.environment()["GATEWAY_DATABASE_URL"]
    link = await make_sign_in_link(url, public_url=outside.gateway.url, username="admin")
    _, key = await outside.add_key(admin)
    token = (await admin.post("/api/auth/token")).json()["token"]
    canaries = [outside.password, admin.cookies["shoal_session"], key, token, link.rpartition("/")[2], "CANARY-guess"]
    await outside.visitor().get(link)
    await outside.visitor().get("/api/v1/auth/link/CANARY-guess")
    await outside.sign_in(outside.visitor(), "admin", "CANARY-guess")
    for secret in (key, token, "agd_live_CANARY-guess"):
        await outside.visitor(secret).get("/api/agents")
        await outside.visitor().get("/api/agents", params={"token": secret})
    await admin.post(
        "/api/v1/auth/change-password", json={"current_password": "CANARY-guess", "new_password": "CANARY-guess"}
    )
    metrics = (await outside.visitor().get("/metrics")).text
    assert '"http_request"' in log.getvalue()
    for canary in canaries:
        assert canary not in log.getvalue()
        assert canary not in metrics
    for table in ("outbox", "login", "api_key", "sign_in_link", "login_attempt", "person"):
        kept = str(await rows.fetch(f"select * from {table}"))  # noqa: S608
        assert not [canary for canary in canaries if canary in kept], table
