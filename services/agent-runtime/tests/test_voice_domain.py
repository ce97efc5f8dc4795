"""How loud a recording is, whatever its format."""

import math
import struct

import pytest
from hypothesis import given, strategies as st
from recordings import recording

from agent_runtime.voice.domain.loudness import NotSoundError, measure


@pytest.mark.parametrize("width", [1, 2, 3, 4])
@pytest.mark.parametrize("channels", [1, 2])
def test_loudness_is_the_same_in_every_format(width: int, channels: int) -> None:
    told = measure(recording(0.6, width=width, channels=channels), "audio/wav")
    assert told.level == pytest.approx(0.6 / math.sqrt(2), abs=0.02)
    assert told.peak == pytest.approx(0.6, abs=0.02)
    assert told.duration_ms == pytest.approx(250, abs=1)


def test_samples_without_a_head_are_read_in_their_byte_order() -> None:
    samples = [0, 16384, -16384, 0] * 4000
    assert measure(struct.pack("<16000h", *samples), "audio/pcm").level == pytest.approx(0.3536, abs=0.001)
    assert measure(struct.pack(">16000h", *samples), "audio/l16").level == pytest.approx(0.3536, abs=0.001)
    assert measure(bytes(1000), "audio/pcm").is_silent


@given(st.binary(max_size=200), st.sampled_from(["audio/wav", "audio/pcm", "audio/l16"]))
def test_whatever_is_sent_is_measured_or_refused(body: bytes, media_type: str) -> None:
    for sound in (body, b"RIFF" + body, recording(0.5, seconds=0.01)[:44] + body):
        try:
            told = measure(sound, media_type)
        except NotSoundError:
            continue
        assert 0 <= told.level <= told.peak <= 1 or told.level == pytest.approx(told.peak, abs=0.001)
