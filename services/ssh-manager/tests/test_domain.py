"""What is decided without anybody being asked."""

from datetime import UTC, datetime, timedelta

import asyncssh
import pytest
from hypothesis import given, strategies as st

from ssh_manager.audit.domain import is_allowed, moment_of, networks_of, normalized
from ssh_manager.audit.errors import InvalidAddressError, InvalidQueryError
from ssh_manager.errors import PublicKeyUnreadableError
from ssh_manager.keys.domain import fingerprint_of, new_key_pair, with_key, without_key
from ssh_manager.links.domain import (
    TRANSITIONS,
    Health,
    LinkReport,
    Snapshot,
    State,
    is_worth_telling,
    pause_s,
    uptime_buckets,
)
from ssh_manager.ports import Instance, Status

NOW = datetime(2026, 11, 22, tzinfo=UTC)
KEY = new_key_pair(1, 2).public_key
OTHER = new_key_pair(2, 1).public_key
INSTANCE = Instance(
    id=1,
    account_id="acct_1",
    name="bot-alpha",
    display_name="Bot Alpha",
    status=Status.RUNNING,
    ssh_host="",
    ssh_port=0,
    ssh_user="",
    host_public_key="",
    version=1,
)


def report(state: State, lasted: timedelta | None) -> LinkReport:
    health = Health(connected_at=None if lasted is None else NOW - lasted)
    return LinkReport(instance=INSTANCE, link=Snapshot(instance_id=1, state=state, health=health), tunnels=(), at=NOW)


def test_every_uptime_falls_into_exactly_one_of_five_buckets() -> None:
    edges = [0, 59, 60, 359, 360, 24 * 60 - 1, 24 * 60, 7 * 24 * 60 - 1, 7 * 24 * 60, 999_999]
    reports = [report(State.CONNECTED, timedelta(minutes=minutes)) for minutes in edges]
    away = [report(state, timedelta(days=1)) for state in State if state is not State.CONNECTED]
    assert [bucket.count for bucket in uptime_buckets([*reports, *away])] == [2, 2, 2, 2, 2]
    assert [bucket.count for bucket in uptime_buckets([])] == [0] * 5


def test_every_state_can_be_left_and_reached() -> None:
    assert set(TRANSITIONS) == set(State)
    assert {state for following in TRANSITIONS.values() for state in following} == set(State)
    assert all(State.DISCONNECTED in following for state, following in TRANSITIONS.items() if state != "disconnected")


def test_pauses_double_up_to_their_most_and_are_never_all_the_same() -> None:
    assert all(0.1 < pause_s(1, max_s=4) <= 0.25 for _ in range(100))
    assert all(2.4 <= pause_s(50_000, max_s=4) <= 4 for _ in range(100))
    assert len({pause_s(9, max_s=4) for _ in range(50)}) > 10


def test_failures_in_a_row_are_told_ever_less_often() -> None:
    assert [number for number in range(1, 100) if is_worth_telling(number)] == [1, 2, 4, 8, 16, 32, 64]


def test_a_fingerprint_is_openssh_s() -> None:
    key = asyncssh.generate_private_key("ssh-ed25519")
    assert fingerprint_of(key.export_public_key().decode()) == key.get_fingerprint()
    for text in ("", "ssh-ed25519", "ssh-ed25519 ???", "x y z"):
        with pytest.raises(PublicKeyUnreadableError):
            fingerprint_of(text)


def test_a_key_can_do_nothing_but_let_its_owner_in() -> None:
    algorithm, blob, comment = KEY.split(" ")
    assert algorithm == "ssh-ed25519"
    assert comment == "shoal-1-v2"
    assert "\n" not in KEY
    assert len(blob) == 68


@given(st.lists(st.binary(max_size=40).filter(lambda line: b"\n" not in line), max_size=8), st.booleans())
def test_foreign_lines_stay_as_they_are_byte_for_byte(lines: list[bytes], is_ended: bool) -> None:  # noqa: FBT001
    foreign = b"\n".join([*lines, OTHER.encode()]) + b"\n" * is_ended
    added = with_key(foreign, KEY)
    assert added.startswith(foreign)
    assert with_key(added, KEY) == added
    assert without_key(added, KEY) == (foreign if is_ended else foreign + b"\n")
    assert without_key(foreign, KEY) == foreign


def test_a_key_is_found_whatever_stands_around_it() -> None:
    algorithm, blob = KEY.split(" ")[:2]
    ours = f'from="10.0.0.0/8",no-pty {algorithm}   {blob} a new comment\r\n'.encode()
    off = f"# {algorithm} {blob}\n".encode()
    longer = f"{algorithm} {blob}AAAA\n".encode()
    assert with_key(ours, KEY) == ours
    assert without_key(off + ours + longer, KEY) == off + longer


def test_ranges_are_told_apart_at_their_edges() -> None:
    networks = networks_of("10.0.0.0/8, 192.168.1.7, 2001:db8::/32")
    inside = (
        "10.0.0.0",
        "10.255.255.255",
        "192.168.1.7",
        "2001:db8::",
        "2001:db8:ffff::1",
        "::ffff:10.0.0.1",
        "[2001:db8::1]",
    )
    outside = ("9.255.255.255", "11.0.0.0", "192.168.1.6", "192.168.1.8", "2001:db9::", "", "10.0.0.1:80", "x")
    assert all(is_allowed(source, networks) for source in inside)
    assert not any(is_allowed(source, networks) for source in outside)
    assert all(is_allowed(source, []) for source in (*inside, *outside))
    assert normalized("10.0.0.5/8,1.2.3.4/32,,  ::1/128") == "10.0.0.0/8,1.2.3.4,::1"
    for wrong in ("10.0.0.0/33", "10.0.0", "fe80::1%eth0", "1.2.3.4 5.6.7.8", ",".join(["10.0.0.1"] * 201)):
        with pytest.raises(InvalidAddressError):
            networks_of(wrong)


def test_moments_are_rfc_3339_with_a_time_zone() -> None:
    assert moment_of("2026-02-21T10:30:00Z", "since") == moment_of("2026-02-21T11:30:00 01:00", "since")
    assert moment_of(None, "since") is None
    for wrong in ("2026-02-21T10:30:00", "now", "1"):
        with pytest.raises(InvalidQueryError, match="since"):
            moment_of(wrong, "since")
