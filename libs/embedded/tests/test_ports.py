import socket

import pytest

from shoal_embedded.ports import hold_port


def test_a_port_that_is_held_is_nobody_elses_until_it_is_let_go() -> None:
    with hold_port() as held:
        place = held.getsockname()
        with pytest.raises(OSError, match="in use"):
            socket.create_server(place)
    socket.create_server(place).close()
