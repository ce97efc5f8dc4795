"""NATS: the connection, the streams, publishing that is durable, and pulling without gaps.

Facts travel on the stream EVENTS, samples on TELEMETRY, what could not be handled on DEAD; live frames are core NATS
and are never stored. A publish whose answer did not come may still have been stored, so every message carries a
stable `Nats-Msg-Id` and every retry reuses it.
"""

from shoal.messaging.bus import ACK_WAIT_S, Bus
from shoal.messaging.errors import MessagingUnavailableError, RejectedMessageError
from shoal.messaging.feed import Feed, FeedBrokenError
from shoal.messaging.pull import Pull, acknowledge, subscribed
from shoal.messaging.streams import DEAD, EVENTS, TELEMETRY, StreamLimits, streams
from shoal.messaging.trust import trust

__all__ = [
    "ACK_WAIT_S",
    "DEAD",
    "EVENTS",
    "TELEMETRY",
    "Bus",
    "Feed",
    "FeedBrokenError",
    "MessagingUnavailableError",
    "Pull",
    "RejectedMessageError",
    "StreamLimits",
    "acknowledge",
    "streams",
    "subscribed",
    "trust",
]
