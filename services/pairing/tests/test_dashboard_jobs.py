"""What the clock brings about."""

from shoal.testing.suite import Suite, user
from shoal_events import PairingDeleted


async def test_a_pairing_that_nobody_confirmed_expires(suite: Suite) -> None:
    pairing = await suite.start("pairing", PAIRING_TOKEN_TTL="0s", PAIRING_EXPIRY_INTERVAL="100ms")
    opened = (await pairing.client(user()).post("/pairing/init", json={})).json()
    (event,) = await suite.events(PairingDeleted)
    assert (event.pairing_id, event.reason) == (opened["pairing_id"], "expired")
    assert (await pairing.client(user()).get("/pairing")).json()["total"] == 0
    refused = await pairing.client().post("/pairing/confirm", json={"token": opened["token"], "agent_id": "agent_1"})
    assert refused.json()["error"]["code"] == "token_expired"
