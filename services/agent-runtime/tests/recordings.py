"""Recordings as browsers send them."""

import io
import math
import wave


def recording(level: float, *, width: int = 2, rate: int = 16_000, channels: int = 1, seconds: float = 0.25) -> bytes:
    """Make a WAV with a tone."""
    sound = io.BytesIO()
    with wave.open(sound, "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(width)
        file.setframerate(rate)
        for number in range(int(rate * seconds)):
            value = level * math.sin(number / 7)
            sample = round(value * ((1 << (8 * width - 1)) - 1)) + (128 if width == 1 else 0)
            file.writeframes(sample.to_bytes(width, "little", signed=width > 1) * channels)
    return sound.getvalue()
