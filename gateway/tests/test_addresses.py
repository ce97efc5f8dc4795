"""Where callers are."""

import pytest

from gateway.addresses import Addresses


@pytest.mark.parametrize(
    ("peer", "expected"),
    [
        ("127.0.0.1", True),
        ("::1", True),
        ("10.1.2.3", True),
        ("::ffff:192.168.0.9", True),
        ("fd00::9", True),
        ("100.64.0.9", True),
        ("2600:1f14::9", True),
        ("2600:1f15::9", False),
        ("8.8.8.8", False),
        ("", False),
        ("nonsense", False),
    ],
)
def test_inner_is_the_machine_a_private_network_or_one_that_is_named(peer: str, expected: object) -> None:
    assert Addresses([], ["2600:1f14::/32"]).is_inner(peer) is expected
