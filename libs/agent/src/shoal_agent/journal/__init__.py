"""A durable journal of the frames that the server has not acknowledged yet."""

from shoal_agent.journal.journal import Journal
from shoal_agent.journal.segment import MAX_FRAME_BYTES, Record
from shoal_agent.journal.values import Cursor, Drops, JournalStats

__all__ = ["MAX_FRAME_BYTES", "Cursor", "Drops", "Journal", "JournalStats", "Record"]
