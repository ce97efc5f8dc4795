"""A feed: every fact of some kinds, in order, to this very process, without gaps and without acknowledgements.

An ephemeral consumer that pushes to an inbox, as NATS' own ordered consumers: the consumer numbers what it sends and
says now and then that it is there. When a number is missing, or it has been silent for `SILENCE_S`, another consumer
is made that starts after the last fact that was seen. The first one starts where the stream stood `look_back` ago.
"""

import contextlib
from collections.abc import AsyncIterator, Sequence
from datetime import datetime, timedelta

import structlog
from nats.aio.msg import Msg
from nats.errors import Error as NatsError
from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy
from nats.js.errors import APIError

from shoal.clock import Clock
from shoal.messaging.bus import Bus
from shoal.messaging.errors import MessagingUnavailableError
from shoal.messaging.streams import EVENTS

HEARTBEAT_S = 1.0
SILENCE_S = 3.5
GONE_AFTER_S = 30.0


class FeedBrokenError(Exception):
    """Something may have been missed; start again after the last fact."""


class Feed:
    """Reads facts from the stream EVENTS.

    Args:
        subjects: Which.
        look_back: From when on, the first time.
    """

    def __init__(self, bus: Bus, clock: Clock, *, subjects: Sequence[str], look_back: timedelta) -> None:
        self._bus = bus
        self._subjects = list(subjects)
        self._start: datetime = clock.now() - look_back
        self._seen = 0
        self.is_attached = False

    async def facts(self) -> AsyncIterator[Msg]:
        """Yield facts until something may have been missed.

        Raises:
            FeedBrokenError: Call again: what follows begins after the last fact that was yielded.
        """
        try:
            client = self._bus.client
            inbox = client.new_inbox()
            subscription = await client.subscribe(inbox)
            try:
                jetstream = client.jetstream()
                if (await jetstream.stream_info(EVENTS)).state.last_seq < self._seen:
                    self._seen = 0  # the stream was made anew
                await jetstream.add_consumer(EVENTS, self._config(inbox))
                self.is_attached = True
                expected = 1
                while True:
                    message = await subscription.next_msg(timeout=SILENCE_S)
                    if _is_heartbeat(message):
                        _check(int((message.headers or {}).get("Nats-Last-Consumer", 0)) == expected - 1)
                        continue
                    _check(message.metadata.sequence.consumer == expected)
                    expected += 1
                    yield message
                    self._seen = message.metadata.sequence.stream
            finally:
                self.is_attached = False
                with contextlib.suppress(NatsError, OSError):
                    await subscription.unsubscribe()
        except (MessagingUnavailableError, NatsError, APIError, OSError, TimeoutError) as error:
            structlog.get_logger().info("feed_broken", error=repr(error))
            raise FeedBrokenError from error

    def _config(self, inbox: str) -> ConsumerConfig:
        config = ConsumerConfig(
            deliver_subject=inbox,
            filter_subjects=self._subjects,
            ack_policy=AckPolicy.NONE,
            max_deliver=1,
            idle_heartbeat=HEARTBEAT_S,
            inactive_threshold=GONE_AFTER_S,
            mem_storage=True,
            num_replicas=1,
        )
        if self._seen:
            return config.evolve(deliver_policy=DeliverPolicy.BY_START_SEQUENCE, opt_start_seq=self._seen + 1)
        return config.evolve(
            deliver_policy=DeliverPolicy.BY_START_TIME,
            opt_start_time=self._start,
        )


def _is_heartbeat(message: Msg) -> bool:
    return bool((message.headers or {}).get("Status") == "100")


def _check(is_in_order: bool) -> None:  # noqa: FBT001
    if not is_in_order:
        raise FeedBrokenError
