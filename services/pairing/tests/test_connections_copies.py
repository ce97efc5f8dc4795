"""Accounts and users that were there before this service could hear of them."""

from typing import Any

from shoal.testing.suite import Suite, eventually, user
from shoal_events import UserCreated

PASSWORD = "correct horse battery"


async def test_accounts_that_no_event_tells_of_are_read_from_the_gateway(suite: Suite) -> None:
    for name in ("gateway", "pairing"):
        suite.announce(name)
    gateway = await suite.start("gateway")
    first = {"username": "admin", "password": PASSWORD, "email": "harbour@example.com"}
    answer = await gateway.client().post("/api/v1/auth/setup", json=first)
    assert answer.status_code == 201, answer.text
    (told,) = await suite.events(UserCreated)
    await (await suite.bus()).jetstream().purge_stream("EVENTS")
    pairing = await suite.start("pairing")
    admin = pairing.client(user(told.account_id, told.user_id))

    async def profile() -> Any:
        return (await admin.get("/v1/agents/me")).json()["account"]

    async def is_known() -> bool:
        return bool((await profile())["email"] == told.email)

    await eventually(is_known, within_s=10)
    refused = await admin.post("/v1/connections", json={"email": told.email})
    assert refused.json()["error"]["code"] == "SELF_CONNECTION"
