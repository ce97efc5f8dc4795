"""What registries offer, and in which order it is shown."""

import re
from collections.abc import Iterable, Sequence
from datetime import datetime

from msgspec import Struct

BUILTIN = "builtin:"
_NAME, _TAG, _DESCRIPTION = 2.0, 1.5, 1.0
_TERM = re.compile(r"[^\W_]+")


class Offer(Struct, frozen=True, kw_only=True):
    """A skill that can be installed: the contract's `RegistrySkill`."""

    id: str
    name: str
    description: str
    version: str
    author: str = ""
    stars: int = 0
    tags: list[str] = []
    signed: bool = False


class InstalledSkill(Struct, frozen=True, kw_only=True):
    """A skill that an account has; `source` is the offer that it came from."""

    name: str
    version: str
    description: str
    author: str
    tags: list[str]
    allowed_tools: list[str] | None
    instructions: str
    source: str
    is_enabled: bool
    installed_at: datetime


def relevance(offer: Offer, terms: Sequence[str]) -> float:
    """Tell how well an offer fits the terms, 0 to 1: every term in its name, its tags and its description is 1.

    A name counts twice as much as a description, a tag one and a half times.
    """
    if not terms:
        return 1.0
    name, description, tags = (
        offer.name.casefold(),
        offer.description.casefold(),
        [tag.casefold() for tag in offer.tags],
    )
    points = sum(
        _NAME * (term in name) + _TAG * any(term in tag for tag in tags) + _DESCRIPTION * (term in description)
        for term in terms
    )
    return points / ((_NAME + _TAG + _DESCRIPTION) * len(terms))


def ranked(offers: Iterable[Offer], asked: str) -> list[Offer]:
    """Order what fits: the best first, then by stars and name; everything for an empty text.

    Of two offers with one id the first is taken.
    """
    terms = list(dict.fromkeys(_TERM.findall(asked.casefold())))
    if asked.strip() and not terms:
        return []
    unique = list({offer.id: offer for offer in reversed(list(offers))}.values())
    exact = asked.strip().casefold()
    fitting = [(relevance(offer, terms), offer) for offer in unique]
    fitting.sort(key=lambda one: (one[1].name != exact, -one[0], -one[1].stars, one[1].name))
    return [offer for fits, offer in fitting if fits > 0]
