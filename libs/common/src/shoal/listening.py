"""Listening: acting on facts at once, in every process that holds something which they concern.

A subscription acts once for a whole service and is sure to; a listener acts in this very process, on what it has in
memory, such as sockets. It begins some minutes before the process did: what others vouched for a moment ago may have
ended since. What it does must not wait, and must do no harm when done twice.
"""

import asyncio
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any

import structlog
from nats.aio.msg import Msg

from shoal.clock import Clock
from shoal.messaging import Bus, Feed, FeedBrokenError
from shoal_events import Event

LOOK_BACK = timedelta(minutes=5)
PAUSE_S = 0.3

Acts = Mapping[type[Event], Callable[[Any, Msg], None]]
"""From a kind of fact to what is done with it, given the message that it came in."""


class Listener:
    """Hears facts, in order and without gaps, and acts on them."""

    def __init__(self, name: str, acts: Acts, *, bus: Bus, clock: Clock) -> None:
        self.name = name
        self._acts = {event.event_type: (event, act) for event, act in acts.items()}
        subjects = [f"{event.subject_prefix}.*" for event in acts]
        self._feed = Feed(bus, clock, subjects=subjects, look_back=LOOK_BACK)

    def problem(self) -> str | None:
        """Say that nothing is heard, or None."""
        return None if self._feed.is_attached else f"{self.name} are not heard"

    async def run(self) -> None:
        """Listen for ever."""
        while True:
            try:
                async for message in self._feed.facts():
                    self._act(message)
            except FeedBrokenError:
                await asyncio.sleep(PAUSE_S)

    def _act(self, message: Msg) -> None:
        try:
            event_class, act = self._acts[(message.headers or {})["ce-type"]]
            act(event_class.from_json(message.data), message)
        except (KeyError, ValueError, RecursionError) as error:
            structlog.get_logger().warning("fact_unreadable", subject=message.subject, error=repr(error))
