"""Outbox: a fact is published if and only if the change that made it true was committed.

The table's protocol: a use case appends rows in its own transaction, after locking the entity they speak of, so the
order of ids is the order of an entity's facts. The relay, alone by lease, reads unpublished rows in that order,
publishes each with `Nats-Msg-Id` = `event_id`, and marks those that the stream acknowledged. A crash anywhere
publishes again under the same id: the stream drops repeats for two minutes, the inbox for ever. A fact that NATS
refuses for good is kept, counted and holds back later facts of its own entity only. Published rows stay a day as a
replay log.
"""

from shoal.outbox.appending import Outbox
from shoal.outbox.bell import Bell
from shoal.outbox.relay import Relay
from shoal.outbox.rows import PIECE, forget_published

__all__ = ["PIECE", "Bell", "Outbox", "Relay", "forget_published"]
