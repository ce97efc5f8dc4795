"""Envelopes: a secret opens in its place, unchanged, under a key that is here, and never otherwise."""

import pytest
from hypothesis import given, settings, strategies

from shoal.crypto import Envelope, EnvelopeError

KEYS = {"2025": b"a" * 32, "2026": b"b" * 32}
PLACE = "toy/setting/1/value"


@pytest.fixture(scope="module")
def envelope() -> Envelope:
    return Envelope(KEYS, current="2026")


@pytest.mark.parametrize("secret", [b"", b"x", b"sk-secret" * 1000])
def test_secret_opens_in_its_place(envelope: Envelope, secret: bytes) -> None:
    sealed = envelope.seal(secret, place=PLACE)
    assert envelope.open(sealed, place=PLACE) == secret
    assert len(secret) < 8 or secret[:8] not in sealed


def test_what_the_current_key_sealed_begins_with_its_head(envelope: Envelope) -> None:
    older = Envelope(KEYS, current="2025")
    assert envelope.current == "2026"
    assert envelope.seal(b"x", place=PLACE).startswith(envelope.head)
    assert not older.seal(b"x", place=PLACE).startswith(envelope.head)


def test_same_secret_never_seals_the_same(envelope: Envelope) -> None:
    assert envelope.seal(b"x", place=PLACE) != envelope.seal(b"x", place=PLACE)


@pytest.mark.parametrize("place", ["toy/setting/2/value", "toy/setting/1/other", "other/setting/1/value", ""])
def test_secret_moved_to_another_place_does_not_open(envelope: Envelope, place: str) -> None:
    with pytest.raises(EnvelopeError, match="does not open"):
        envelope.open(envelope.seal(b"secret", place=PLACE), place=place)


def test_flip_of_any_bit_is_noticed(envelope: Envelope) -> None:
    sealed = envelope.seal(b"secret", place=PLACE)
    for index in range(len(sealed)):
        for bit in (0x01, 0x80):
            changed = bytearray(sealed)
            changed[index] ^= bit
            with pytest.raises(EnvelopeError):
                envelope.open(bytes(changed), place=PLACE)


def test_no_part_of_an_envelope_opens(envelope: Envelope) -> None:
    sealed = envelope.seal(b"secret", place=PLACE)
    for length in range(len(sealed)):
        with pytest.raises(EnvelopeError):
            envelope.open(sealed[:length], place=PLACE)


def test_halves_of_two_envelopes_do_not_fit(envelope: Envelope) -> None:
    one, other = (envelope.seal(secret, place=PLACE) for secret in (b"secret", b"terces"))
    with pytest.raises(EnvelopeError):
        envelope.open(one[:-22] + other[-22:], place=PLACE)


@given(strategies.binary(max_size=200))
@settings(max_examples=200)
def test_rubbish_does_not_open_and_breaks_nothing(rubbish: bytes) -> None:
    with pytest.raises(EnvelopeError):
        Envelope(KEYS, current="2026").open(rubbish, place=PLACE)


def test_older_keys_still_open_and_new_ones_seal() -> None:
    old = Envelope({"2025": KEYS["2025"]}, current="2025").seal(b"secret", place=PLACE)
    rotated = Envelope(KEYS, current="2026")
    assert rotated.key_id(old) == "2025"
    anew = rotated.seal(rotated.open(old, place=PLACE), place=PLACE)
    assert rotated.key_id(anew) == "2026"
    assert Envelope({"2026": KEYS["2026"]}, current="2026").open(anew, place=PLACE) == b"secret"


def test_secret_under_a_key_that_is_gone_does_not_open() -> None:
    old = Envelope({"2025": KEYS["2025"]}, current="2025").seal(b"secret", place=PLACE)
    with pytest.raises(EnvelopeError):
        Envelope({"2026": KEYS["2026"]}, current="2026").open(old, place=PLACE)
    with pytest.raises(EnvelopeError):
        Envelope({"2025": KEYS["2026"]}, current="2025").open(old, place=PLACE)


@pytest.mark.parametrize(
    ("keys", "current"),
    [({}, "1"), ({"1": b"short"}, "1"), ({"1": b"k" * 16}, "1"), ({"k" * 256: b"k" * 32}, "k" * 256)],
)
def test_keys_that_will_not_do_are_refused_at_once(keys: dict[str, bytes], current: str) -> None:
    with pytest.raises(EnvelopeError):
        Envelope(keys, current=current)
