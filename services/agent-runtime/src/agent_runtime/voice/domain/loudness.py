"""How loud recorded sound is. Pure.

Levels are between 0 and 1, of the loudest that the format can hold: `level` is the root mean square over everything,
`peak` the loudest sample.
"""

import io
import math
import sys
import wave
from array import array
from typing import Final

from msgspec import Struct

SILENT_BELOW = 0.002
MAX_RATE = 384_000
_TYPES: Final = {1: "B", 2: "h", 4: "i"}
_RAW: Final = {"audio/l16": "big", "audio/pcm": "little", "application/octet-stream": "little"}
"""Byte order of 16-bit samples without a head, by media type; RFC 2586 has it for L16."""


class NotSoundError(Exception):
    """This cannot be read as sound; says why."""


class Loudness(Struct, frozen=True):
    """How loud some sound is, and how long."""

    level: float
    peak: float
    duration_ms: float

    @property
    def is_silent(self) -> bool:
        """Whether there is nothing to be heard."""
        return self.level < SILENT_BELOW


def measure(body: bytes, media_type: str, *, raw_rate: int = 16_000) -> Loudness:
    """Measure WAV (8 to 32 bits of integer PCM), or 16-bit samples without a head.

    Raises:
        NotSoundError: It is neither, or there is no sample in it.
    """
    if body[:4] == b"RIFF":
        samples, full, per_second = _read_wav(body)
    elif media_type in _RAW:
        samples, full, per_second = _samples(body, 2, _RAW[media_type]), 32768, raw_rate
    else:
        raise NotSoundError("Send WAV, or 16-bit PCM as audio/pcm or audio/l16.")
    if not samples:
        raise NotSoundError("There is no sample in it.")
    mean = math.sqrt(sum(sample * sample for sample in samples) / len(samples))
    peak = max(abs(min(samples)), abs(max(samples)))
    return Loudness(
        level=round(min(1.0, mean / full), 4),
        peak=round(min(1.0, peak / full), 4),
        duration_ms=round(len(samples) / per_second * 1000, 1),
    )


def _read_wav(body: bytes) -> tuple["array[int]", int, int]:
    try:
        with wave.open(io.BytesIO(body)) as sound:
            width, rate, channels = sound.getsampwidth(), sound.getframerate(), sound.getnchannels()
            frames = sound.readframes(len(body))
    except (wave.Error, EOFError, ValueError) as error:
        raise NotSoundError(f"This WAV cannot be read: {error}.") from None
    if not 0 < rate <= MAX_RATE or not channels:
        raise NotSoundError("This WAV states an impossible rate.")
    return _samples(frames, width, "little"), 1 << (8 * width - 1), rate * channels


def _samples(frames: bytes, width: int, order: str) -> "array[int]":
    """Read samples as signed numbers."""
    frames = frames[: len(frames) - len(frames) % width]
    if width == 3:  # noqa: PLR2004 - 24 bits
        return array(
            "i", (int.from_bytes(frames[at : at + 3], "little", signed=True) for at in range(0, len(frames), 3))
        )
    if width not in _TYPES:
        raise NotSoundError("Samples have 8, 16, 24 or 32 bits.")
    samples = array(_TYPES[width])
    samples.frombytes(frames)
    if order != sys.byteorder and width > 1:
        samples.byteswap()
    return array("h", (sample - 128 for sample in samples)) if width == 1 else samples
