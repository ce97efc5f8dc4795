"""The service starts."""

from runtime_door import Door


async def test_service_is_ready_and_knows_its_callers(door: Door) -> None:
    assert (await door.admin.get("/readyz")).json()["ready"] is True
