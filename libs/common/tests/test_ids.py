"""Ids, secrets, fingerprints, and time as text."""

import hashlib
from datetime import UTC, datetime, timedelta, timezone

import msgspec
import pytest

from shoal.clock import SystemClock, to_rfc3339
from shoal.ids import SubjectToken, fingerprint, may_stand_in_path, new_id, new_secret


def test_ids_carry_their_prefix_and_are_subject_tokens() -> None:
    made = {new_id("pair") for _ in range(1000)}
    assert len(made) == 1000
    assert all(one.startswith("pair_") and msgspec.convert(one, SubjectToken) for one in made)


def test_secrets_have_at_least_128_bits() -> None:
    secret = new_secret("telem_")
    assert secret.startswith("telem_")
    assert len(secret) - len("telem_") >= 22  # 22 characters of 62 are 131 bits
    assert new_secret("telem_") != secret


def test_fingerprint_is_sha256_of_any_text() -> None:
    assert fingerprint("telem_x") == hashlib.sha256(b"telem_x").digest()
    assert len(fingerprint("\ud800ä")) == 32


@pytest.mark.parametrize("text", ["a", "A-z_9", "x" * 64])
def test_subject_tokens(text: str) -> None:
    assert msgspec.convert(text, SubjectToken) == text


@pytest.mark.parametrize("text", ["", "x" * 65, "a.b", "*", ">", "a b", "ä", "a\n", "a\x00", "$JS"])
def test_what_cannot_stand_in_a_subject_is_no_token(text: str) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(text, SubjectToken)


@pytest.mark.parametrize(
    ("moment", "text"),
    [
        (datetime(2026, 11, 22, 12, tzinfo=UTC), "2026-11-22T12:00:00Z"),
        (datetime(2026, 11, 22, 12, 0, 0, 250000, tzinfo=UTC), "2026-11-22T12:00:00.250000Z"),
        (datetime(2026, 11, 22, 1, tzinfo=timezone(timedelta(hours=2))), "2026-11-21T23:00:00Z"),
    ],
)
def test_moments_are_written_in_utc(moment: datetime, text: str) -> None:
    assert to_rfc3339(moment) == text


def test_clock_knows_the_time_and_never_goes_back() -> None:
    clock = SystemClock()
    assert abs(clock.now() - datetime.now(UTC)) < timedelta(seconds=1)
    assert clock.monotonic() <= clock.monotonic()


@pytest.mark.parametrize("name", ["a", "patterns/auth", "größe", "a b?c#d%", "a.b", "...", ".well-known", "a;b"])
def test_names_that_people_choose_may_stand_in_a_path(name: str) -> None:
    assert may_stand_in_path(name)


@pytest.mark.parametrize(
    "name", ["", " ", "/a", "a/", "a//b", ".", "..", "a/../b", "../a", "a/.", "..;/a", "a\\b", "a\nb", "a\x00", "\x7f"]
)
def test_names_that_a_path_could_be_misread_by_may_not(name: str) -> None:
    assert not may_stand_in_path(name)
