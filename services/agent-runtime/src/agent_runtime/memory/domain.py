"""What an entry is, and how much it resembles what was asked for.

Similarity is one number with one meaning. 0.8 to 1: the words asked for stand there. 0.4 to 0.8: words much like them,
or some of them. Below 0.3: nothing to do with it. PostgreSQL finds candidates and tells what it saw (`Evidence`); the
number is made here, so it means the same in every language and on every machine. It is made of the first `MAX_FOLDED`
characters of each part as folded, which is all of a text unless folding makes it longer: some single signs fold to
eighteen, and a search reads many entries.
"""

import re
import unicodedata
from collections.abc import Iterator, Sequence
from datetime import datetime

from msgspec import Struct

from agent_runtime.memory.errors import InvalidEntryError
from shoal.ids import may_stand_in_path

DEFAULT_NAMESPACE = "default"
MAX_KEY, MAX_NAMESPACE, MAX_TAG = 256, 64, 64
MAX_TAGS = 32
MAX_VALUE_BYTES = 64 * 1024
MAX_FOLDED = MAX_VALUE_BYTES
"""How much of a text is looked at once it is folded, in characters."""
MAX_ENTRIES = 10_000
MAX_MEANT = 4000
"""How much of a value is asked the meaning of, in characters."""
MAX_WORDS = 12
"""How many words of a question are looked for: the longest, which tell most."""
ALIKE = 0.6
"""From which trigram similarity on a word counts as another spelling of the one asked for."""

_SAME, _TAG, _PHRASE_IN_NAME, _PHRASE, _ALL_WORDS, _PART = 1.0, 0.95, 0.9, 0.85, 0.82, 0.8
_ALL_STEMS, _LOOSE = 0.75, 0.79
_RELATED = 0.4
"""From which cosine on texts have to do with each other."""
_HEAVIEST = 8
_LEAST_PART = 3
_PIECE = 256
_WORD = re.compile(r"\w+")
_FILLER_WORDS = """
    a about an and are as at be been but by can could did do does for from had has have he her his how i if in into is
    it its me my no not of on or our she should so than that the their them then there these they this those to up us
    was we were what when where which who why will with would you your
"""
_FILLERS = frozenset(_FILLER_WORDS.split())


class Entry(Struct, frozen=True, kw_only=True):
    """Something remembered, under a key that is one of a kind within its account."""

    key: str
    value: str
    namespace: str
    tags: list[str]
    updated_at: datetime


class Evidence(Struct, frozen=True):
    """What PostgreSQL saw of a candidate.

    Args:
        alike: For each word asked for, in order, which part of its trigrams stands together in the entry, 0 to 1.
        has_all_stems: Whether full-text search found every word in some inflection.
        cosine: How near the meanings are, -1 to 1, where a model of meanings is used; else None.
    """

    alike: tuple[float, ...] = ()
    has_all_stems: bool = False
    cosine: float | None = None


class Candidate(Struct, frozen=True):
    """An entry that may be what was asked for, and what speaks for it."""

    entry: Entry
    evidence: Evidence


class Query(Struct, frozen=True):
    """What is asked for: folded text, and its words without fillers."""

    text: str
    words: tuple[str, ...]

    @classmethod
    def of(cls, text: str) -> "Query":
        """Read what somebody typed: folded, and of its words the telling ones, at most `MAX_WORDS`."""
        folded = fold(text)
        words = tuple(dict.fromkeys(words_of(folded)))
        telling = tuple(word for word in words if word not in _FILLERS)
        longest = set(sorted(telling or words, key=len, reverse=True)[:MAX_WORDS])
        return cls(folded, tuple(word for word in words if word in longest))


class Meaning(Struct, frozen=True):
    """What a text means, as a vector of length one, and to which model."""

    model: str
    vector: tuple[float, ...]


class Found(Struct, frozen=True):
    """An entry and how much it resembles what was asked for."""

    entry: Entry
    similarity: float


def checked(key: str, value: str, namespace: str, tags: Sequence[str]) -> None:
    """Refuse what cannot be remembered.

    Raises:
        InvalidEntryError: A part is empty or too long.
    """
    if len(key) > MAX_KEY or not may_stand_in_path(key):
        raise InvalidEntryError(f"key: 1 to {MAX_KEY} printable characters, slashes only singly between others")
    if not namespace.strip() or len(namespace) > MAX_NAMESPACE:
        raise InvalidEntryError(f"namespace: 1 to {MAX_NAMESPACE} characters")
    if len(value.encode("utf-8", "surrogatepass")) > MAX_VALUE_BYTES:
        raise InvalidEntryError(f"value: at most {MAX_VALUE_BYTES} bytes")
    if len(tags) > MAX_TAGS or any(not tag.strip() or len(tag) > MAX_TAG for tag in tags):
        raise InvalidEntryError(f"tags: at most {MAX_TAGS}, each of 1 to {MAX_TAG} characters")


def fold(text: str) -> str:
    """Write the beginning of a text so that spellings which people take for the same are the same."""
    if not text.isascii():
        text = _beginning(_plain(text))
    return " ".join(text.casefold().split())[:MAX_FOLDED]


def words_of(folded: str) -> list[str]:
    """Part a folded text into words; an underscore parts them too."""
    return _WORD.findall(folded.replace("_", " "))


def _plain(text: str) -> Iterator[str]:
    """Bring words into their plain form; long ones piece by piece, for time grows with the square of their accents."""
    for word in text.split():
        yield " "
        for start in range(0, len(word), _PIECE):
            yield unicodedata.normalize("NFKC", word[start : start + _PIECE])


def _beginning(pieces: Iterator[str]) -> str:
    taken, length = [], 0
    while length <= MAX_FOLDED and (piece := next(pieces, None)) is not None:
        taken.append(piece)
        length += len(piece)
    return "".join(taken)


def similarity(query: Query, entry: Entry, evidence: Evidence) -> float:
    """Tell how much an entry resembles what was asked for, 0 to 1."""
    return round(_exact(query, entry) or _loose(query, evidence), 4)


def _exact(query: Query, entry: Entry) -> float:
    """Score an entry in which the words stand; 0 where they do not."""
    key, value, tags = fold(entry.key), fold(entry.value), [fold(tag) for tag in entry.tags]
    if not query.text:
        return 0.0
    if query.text in {key, value}:
        return _SAME
    if query.text in tags:
        return _TAG
    phrase = _spaced(query.text)
    if phrase.strip() and any(phrase in _spaced(name) for name in (key, *tags)):
        return _PHRASE_IN_NAME
    spaced = _spaced(value)
    if phrase.strip() and phrase in spaced:
        return _PHRASE
    there = _spaced(" ".join((key, *tags))) + spaced
    if query.words and all(f" {word} " in there for word in query.words):
        return _ALL_WORDS
    is_telling = len(query.text) >= _LEAST_PART or not query.text.isascii()
    return _PART if is_telling and any(query.text in text for text in (key, *tags, value)) else 0.0


def _loose(query: Query, evidence: Evidence) -> float:
    """Score by how many of the words, weighed by length, have something like them in the entry."""
    weights = [min(len(word), _HEAVIEST) for word in query.words]
    pairs = zip(weights, evidence.alike, strict=False)
    alike = sum(weight * min(near, 1.0) for weight, near in pairs if near >= ALIKE)
    coverage = alike / sum(weights) if weights else 0.0
    return max(_LOOSE * coverage, _ALL_STEMS if evidence.has_all_stems else 0.0, _meant(evidence.cosine))


def _meant(cosine: float | None) -> float:
    """Bring a cosine to our scale: it is taken as it is up to where texts begin to be related, and squeezed above."""
    if cosine is None or cosine <= _RELATED:
        return max(cosine or 0.0, 0.0)
    return _RELATED + (min(cosine, 1.0) - _RELATED) / (1 - _RELATED) * (_LOOSE - _RELATED)


def _spaced(folded: str) -> str:
    return f" {' '.join(words_of(folded))} "
