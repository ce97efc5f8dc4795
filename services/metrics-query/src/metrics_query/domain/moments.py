"""Minutes and hours since 1970 as moments, such as tables hold, and back."""

from datetime import UTC, datetime


def from_minute(minute: int) -> datetime:
    """Give the start of a minute since 1970."""
    return datetime.fromtimestamp(minute * 60, UTC)


def to_minute(moment: datetime) -> int:
    """Tell the minute since 1970 that an aware moment lies in."""
    return int(moment.timestamp()) // 60


def from_hour(hour: int) -> datetime:
    """Give the start of an hour since 1970."""
    return datetime.fromtimestamp(hour * 3600, UTC)


def to_hour(moment: datetime) -> int:
    """Tell the hour since 1970 that an aware moment lies in."""
    return int(moment.timestamp()) // 3600
