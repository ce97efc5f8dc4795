"""Bodies of `POST /telemetry/ingest`, in and out."""

import zlib

import msgspec
from msgspec import Struct

from shoal.errors import TooLargeError, UnfitBodyError, UnsupportedMediaTypeError
from shoal.http.errors import unfit
from shoal.wording import problem_in, problem_of
from telemetry_ingest.domain.frames import Epoch
from telemetry_ingest.domain.posts import Posted
from telemetry_ingest.errors import TruncatedBodyError

MAX_BODY_BYTES = 4 * 1024 * 1024
MAX_POSTED_ITEMS = 10_000
JSON, NDJSON = "application/json", "application/x-ndjson"

_GZIP_WINDOW = 31


class PostFrames(Struct, frozen=True):
    """Frames of agents; each is taken or refused on its own."""

    items: list[msgspec.Raw]
    epoch: Epoch | None = None
    """One life of the sender; within it a `seq` means one frame, however often it is sent."""


class ErrorView(Struct, frozen=True):
    """Why an item was refused."""

    code: str
    message: str


class RefusedView(Struct, frozen=True, omit_defaults=True):
    """An item that was refused."""

    index: int
    error: ErrorView
    seq: int | None = None


class PostedView(Struct, frozen=True, omit_defaults=True):
    """Answer of `POST /telemetry/ingest`; what is counted as accepted is stored."""

    accepted: int
    refused: int
    results: list[RefusedView]
    """The refused items."""
    last_seq: int | None = None
    """The greatest number that was handled."""

    @classmethod
    def from_domain(cls, posted: Posted) -> "PostedView":
        """Show what became of a request."""
        results = [RefusedView(item.index, ErrorView(item.code, item.message), item.ref.seq) for item in posted.refused]
        return cls(posted.accepted, len(results), results, posted.last_seq)


def read_post(body: bytes, *, content_type: str, encoding: str, epoch: str | None) -> PostFrames:
    """Read a request's frames.

    Args:
        body: As it came.
        content_type: JSON (an object, or a list of frames) or NDJSON (a frame per line).
        encoding: `gzip`, `identity` or nothing.
        epoch: From the query; what the body says goes first.

    Raises:
        TooLargeError: More than 4 MiB once unpacked, or too many frames.
        TruncatedBodyError: Not complete gzip.
        UnsupportedMediaTypeError: Neither of the types, or another encoding.
        ValidationError: Not what its type says.
    """
    if encoding == "gzip":
        body = _unpack(body)
    elif encoding not in {"", "identity"}:
        raise UnsupportedMediaTypeError("Content-Encoding may be gzip.")
    kind = content_type.partition(";")[0].strip().lower()
    if kind not in {JSON, NDJSON}:
        raise UnsupportedMediaTypeError(f"Send the body as {JSON} or {NDJSON}.")
    post = _read_lines(body) if kind == NDJSON else _read_json(body)
    if len(post.items) > MAX_POSTED_ITEMS:
        raise TooLargeError(f"More than {MAX_POSTED_ITEMS} frames.")
    return PostFrames(post.items, post.epoch or _read_epoch(epoch))


def _unpack(body: bytes) -> bytes:
    unpacker = zlib.decompressobj(_GZIP_WINDOW)
    try:
        plain = unpacker.decompress(body, MAX_BODY_BYTES + 1)
    except zlib.error as error:
        raise TruncatedBodyError from error
    if len(plain) > MAX_BODY_BYTES:
        raise TooLargeError(f"More than {MAX_BODY_BYTES} bytes once unpacked.")
    if not unpacker.eof:
        raise TruncatedBodyError
    return plain


def _read_json(body: bytes) -> PostFrames:
    try:
        post = msgspec.json.decode(body, type=PostFrames | list[msgspec.Raw])
    except msgspec.ValidationError as error:
        raise unfit(problem_in(error)) from None
    except (msgspec.DecodeError, RecursionError):
        raise UnfitBodyError("The body is not JSON.") from None
    return PostFrames(post) if isinstance(post, list) else post


def _read_lines(body: bytes) -> PostFrames:
    return PostFrames([msgspec.Raw(line) for line in body.split(b"\n") if line.strip()])


def _read_epoch(epoch: str | None) -> str | None:
    try:
        return msgspec.convert(epoch, Epoch | None)
    except msgspec.ValidationError as error:
        raise unfit(problem_of("epoch", str(error))) from None
