"""What was said and noted in a run, until it is known to be stored."""

from collections.abc import Mapping
from typing import Any

from msgspec.structs import replace

from agent_runtime.runs.domain.runs import EventType, RunEvent, Token


class Notes:
    """Events of a run, numbered without a gap.

    A transaction is given what was noted. Until it is known whether that transaction stands, what it was given is in
    doubt. If it stands, it is let go. If not, it is taken back: lasting events are given to the next transaction, and
    what only that transaction would have made true was never noted.

    Args:
        last_seq: The number of the run's last stored event.
    """

    def __init__(self, last_seq: int) -> None:
        self._stored = last_seq
        self._given = last_seq
        self._events: list[RunEvent] = []
        self._text: list[str] = []
        self._said = 0
        self._cut_at = 0
        self._step = 1

    @property
    def has_text(self) -> bool:
        """Whether something was said that no transaction was given yet."""
        return bool(self._text)

    @property
    def in_doubt(self) -> int | None:
        """The number of the last event that was given and may be stored or not; None when there is none."""
        return self._given if self._given > self._stored else None

    def begin_step(self, number: int, *, offset: int) -> None:
        """Count text as of this step; `offset` is how many characters were said in earlier ones."""
        self._cut()
        self._step = number
        self._said = self._cut_at = offset

    def say(self, text: str) -> Token:
        """Note some text; what is said until a transaction is given it becomes one event."""
        token = Token(self._said, text)
        self._said += len(text)
        self._text.append(text)
        return token

    def note(self, kind: EventType, data: Mapping[str, Any]) -> None:
        """Note an event."""
        self._cut()
        self._add(kind, data)

    def give(self) -> tuple[RunEvent, ...]:
        """Give what was noted and not given yet."""
        self._cut()
        events = tuple(event for event in self._events if event.seq > self._given)
        self._given += len(events)
        return events

    def let_go(self) -> tuple[RunEvent, ...]:
        """Forget what was given, which is stored; returns it."""
        events = tuple(event for event in self._events if event.seq <= self._given)
        self._events = self._events[len(events) :]
        self._stored = self._given
        return events

    def take_back(self) -> None:
        """Keep what lasts of what was given, which is not stored."""
        lasting = [event for event in self._events if EventType(event.type).is_lasting]
        self._events = [replace(event, seq=seq) for seq, event in enumerate(lasting, start=self._stored + 1)]
        self._given = self._stored

    def _add(self, kind: EventType, data: Mapping[str, Any]) -> None:
        self._events.append(RunEvent(self._stored + len(self._events) + 1, kind, data))

    def _cut(self) -> None:
        """Make an event of the text that was said since the last one."""
        if self._text:
            content, self._text = "".join(self._text), []
            self._add(EventType.TEXT, {"content": content, "offset": self._cut_at, "step": self._step})
            self._cut_at += len(content)
