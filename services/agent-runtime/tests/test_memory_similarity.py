"""Similarity: one number with one meaning."""

import time
from datetime import UTC, datetime

import pytest
from hypothesis import given, strategies as st

from agent_runtime.memory.domain import (
    MAX_FOLDED,
    MAX_VALUE_BYTES,
    Entry,
    Evidence,
    Query,
    fold,
    similarity,
    words_of,
)

WORDS = st.text(alphabet="abcdefghijklm", min_size=3, max_size=10)
OTHER_WORDS = st.text(alphabet="nopqrstuvwxyz", min_size=3, max_size=10)
ANYTHING = st.text(max_size=60)
ALIKE = st.lists(st.floats(0, 1), max_size=40).map(tuple)
EVIDENCE = st.builds(Evidence, ALIKE, st.booleans(), st.none() | st.floats(-1, 1))


def entry(key: str = "key", value: str = "value", tags: list[str] | None = None) -> Entry:
    return Entry(key=key, value=value, namespace="default", tags=tags or [], updated_at=datetime.now(UTC))


def score(asked: str, stands: Entry, *alike: float) -> float:
    return similarity(Query.of(asked), stands, Evidence(alike))


@given(ANYTHING, ANYTHING, ANYTHING, st.lists(ANYTHING, max_size=3), EVIDENCE)
def test_it_is_always_between_nothing_and_all(
    asked: str, key: str, value: str, tags: list[str], evidence: Evidence
) -> None:
    assert 0 <= similarity(Query.of(asked), entry(key, value, tags), evidence) <= 1


@given(st.lists(WORDS, min_size=1, max_size=12), st.data())
def test_words_that_stand_there_score_at_least_four_fifths(words: list[str], data: st.DataObject) -> None:
    first = data.draw(st.integers(0, len(words) - 1))
    asked = words[first : data.draw(st.integers(first + 1, len(words)))]
    assert score(" ".join(asked), entry(value=" ".join(words))) >= 0.8
    assert score(" ".join(reversed(asked)), entry(value=" ".join(words))) >= 0.8
    assert score(asked[0].upper(), entry(tags=[asked[0]])) >= 0.8


@given(st.lists(WORDS, min_size=1, max_size=12), st.lists(OTHER_WORDS, min_size=1, max_size=12), ALIKE)
def test_what_shares_nothing_scores_below_three_tenths(
    asked: list[str], there: list[str], alike: tuple[float, ...]
) -> None:
    unlike = tuple(near * 0.59 for near in alike)
    assert score(" ".join(asked), entry(there[0], " ".join(there), there[:2]), *unlike) < 0.3


@given(st.lists(OTHER_WORDS, min_size=1, max_size=8), EVIDENCE)
def test_likeness_alone_never_passes_for_the_words_themselves(asked: list[str], evidence: Evidence) -> None:
    assert similarity(Query.of(" ".join(asked)), entry("abc", "abcdefgh"), evidence) < 0.8


@given(st.lists(st.floats(0, 1), min_size=3, max_size=3), st.integers(0, 2), st.floats(0, 1))
def test_more_likeness_never_scores_less(alike: list[float], place: int, more: float) -> None:
    better = alike.copy()
    better[place] = max(alike[place], more)
    assert score("nop qrs tuv", entry("abc", "def"), *better) >= score("nop qrs tuv", entry("abc", "def"), *alike)


@given(st.floats(-1, 1), st.floats(-1, 1))
def test_nearer_meanings_never_score_less_and_far_ones_stay_unrelated(one: float, other: float) -> None:
    def meant(cosine: float) -> float:
        return similarity(Query.of("nop"), entry("abc", "def"), Evidence((0.0,), cosine=cosine))

    assert meant(min(one, other)) <= meant(max(one, other))
    assert (meant(one) < 0.3) == (round(one, 4) < 0.3)
    assert meant(1) < 0.8


@given(ANYTHING)
def test_a_text_is_itself(text: str) -> None:
    expected = 1.0 if text.split() else 0.0
    assert score(text, entry(key=text)) == expected


@pytest.mark.parametrize(
    ("asked", "least"),
    [
        ("pattern-auth", 1.0),
        ("JWT with refresh tokens", 1.0),
        ("jwt", 0.95),
        ("auth", 0.9),
        ("refresh tokens", 0.85),
        ("tokens refresh", 0.8),
        ("what are the refresh tokens", 0.8),
        ("fresh", 0.8),
    ],
)
def test_the_nearer_the_better(asked: str, least: float) -> None:
    found = score(asked, entry("pattern-auth", "JWT with refresh tokens", ["jwt", "security"]))
    assert least <= found < least + 0.051


def test_fillers_tell_nothing_unless_there_is_nothing_else() -> None:
    assert Query.of("what is the weather").words == ("weather",)
    assert Query.of("to be or not to be").words == ("to", "be", "or", "not")


def test_words_are_parted_at_signs_and_underscores() -> None:
    assert words_of("pattern-auth_v2, größe") == ["pattern", "auth", "v2", "größe"]


def test_spellings_that_people_take_for_the_same_are_one() -> None:
    assert fold("  Cafe\u0301\u3000ﬁne\tSTRASSE ") == fold("café fine straße")
    assert fold("e\u0301" * 100) == "é" * 100


def test_accents_without_number_take_no_longer_than_other_text() -> None:
    began = time.monotonic()
    for _ in range(20):
        fold("\u0345\u0301\u0316\u05b0" * 8000)
    assert time.monotonic() - began < 5


def test_text_that_folding_lengthens_is_looked_at_no_further_than_other_text() -> None:
    for sign in ("\ufdfa", "\u3300", "\u0390"):
        assert len(fold(sign * (MAX_VALUE_BYTES // 2))) == MAX_FOLDED
    assert score("last", entry(value="\ufdfa" * 21_000 + " last")) == 0


def test_largest_value_of_plain_words_is_looked_at_to_its_end() -> None:
    for word in ("word ", "größe ", "слово "):
        filled = word * (MAX_VALUE_BYTES // len(word.encode()) - 1)
        assert score("last", entry(value=filled + "last")) == 0.85
