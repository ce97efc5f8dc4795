"""The ports that instances share among them."""

import re
from typing import Self

from msgspec import Struct

_RANGE = re.compile(r"(\d{1,5})-(\d{1,5})")
_MAX_PORT = 65535


class PortRange(Struct, frozen=True):
    """Ports in pairs: an even one for the browser's screen, and the next for the terminal's."""

    first: int
    last: int

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read `30100-30199`.

        Raises:
            ValueError: It is no range that starts even and holds a pair.
        """
        match = _RANGE.fullmatch(text)
        first, last = (int(match[1]), int(match[2])) if match else (0, 0)
        if first % 2 or not 0 < first < last <= _MAX_PORT:
            raise ValueError(f"{text!r} is no range of ports such as 30100-30199")
        return cls(first, last)
