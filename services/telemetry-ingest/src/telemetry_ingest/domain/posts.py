"""What becomes of frames that come in one request."""

from msgspec import Struct

from telemetry_ingest.domain.frames import Ref


class RefusedItem(Struct, frozen=True):
    """An item that was not taken: its place in the request, its number, and why."""

    index: int
    ref: Ref
    code: str
    message: str


class Posted(Struct, frozen=True):
    """How many items were taken and are stored, which were refused, and the greatest number that was handled."""

    accepted: int
    refused: list[RefusedItem]
    last_seq: int | None
