"""Connections: made without being asked, checked, made again, shown."""

from ssh_door import Door, Place, refused


async def test_a_running_instance_is_connected_without_a_call(place: Place) -> None:
    status = await place.status()
    assert status["connection_state"] == "connected"
    assert status["health"]["healthy"] is True
    assert [(moved["from"], moved["to"]) for moved in status["recent_events"]] == [
        ("connecting", "connected"),
        ("disconnected", "connecting"),
    ]
