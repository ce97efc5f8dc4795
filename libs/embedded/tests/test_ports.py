import socket

import pytest

from shoal_embedded.ports import ensure_free, hold_port
from shoal_embedded.processes import ServerError


def test_a_port_that_is_held_is_nobody_elses_until_it_is_let_go() -> None:
    with hold_port() as held:
        place = held.getsockname()
        with pytest.raises(OSError, match="in use"):
            socket.create_server(place)
    socket.create_server(place).close()


def test_a_port_that_is_taken_is_told_with_another_to_take() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ServerError, match=f"cannot listen on 127.0.0.1:{port} ") as refused:
            ensure_free("127.0.0.1", port)
    assert "Shoal may run here already" in str(refused.value.cure)
    another = int(str(refused.value.cure).rpartition(" ")[2])
    assert 1024 < another < 65536


def test_an_address_of_another_machine_is_not_told_as_a_port_that_is_taken() -> None:
    with pytest.raises(ServerError, match=r"cannot listen on 192\.0\.2\.1:8080 ") as refused:
        ensure_free("192.0.2.1", 8080)
    assert "--host takes an address of this machine" in str(refused.value.cure)
