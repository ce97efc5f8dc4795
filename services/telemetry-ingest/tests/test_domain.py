"""Reading, whatever comes; and pacing."""

import contextlib
from datetime import UTC, datetime

import msgspec
from hypothesis import given, strategies as st

from shoal.pacing import TokenBucket
from shoal_events import Sample
from telemetry_ingest.domain.frames import AgentFrame, AuthFrame
from telemetry_ingest.domain.reading import (
    MalformedFrameError,
    RefusedFrameError,
    read_agent_frame,
    read_client_frame,
)

NOW = datetime(2026, 1, 30, 12, tzinfo=UTC)
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4),
    max_leaves=12,
)
NUMBER = st.integers(-(2**53), 2**53) | st.floats(-1e15, 1e15)
MONEY = st.decimals(-1000, 1000, places=2).map(str) | NUMBER
METRICS = st.fixed_dictionaries(
    {},
    optional={
        "messages_1h": NUMBER | ANYTHING,
        "cpu_percent": NUMBER,
        "revenue_total": MONEY | ANYTHING,
        "response_ms": st.lists(NUMBER, max_size=5),
        "unknown": ANYTHING,
    },
)
SKILL = st.fixed_dictionaries({}, optional={"calls": NUMBER, "calls_1h": NUMBER, "revenue": MONEY, "revenue_1h": MONEY})
SKILLS = st.dictionaries(st.text(max_size=10), SKILL, max_size=3)
ERRORS = st.fixed_dictionaries({}, optional={"error_type": st.text(), "message": st.text(), "skill": st.text()})
AGENT = {"agent_id": st.just("agent_1"), "timestamp": st.just(NOW.isoformat())}
FRAMES = (
    st.fixed_dictionaries({"type": st.just("metrics"), "data": METRICS | ANYTHING, **AGENT})
    | st.fixed_dictionaries({"type": st.just("skills"), "data": SKILLS | ANYTHING, **AGENT})
    | st.fixed_dictionaries({"type": st.just("status"), "status": st.text() | ANYTHING, **AGENT})
    | st.fixed_dictionaries({"type": st.just("error"), "data": ERRORS | ANYTHING, **AGENT})
    | st.fixed_dictionaries({"type": st.just("batch") | st.text(), "items": ANYTHING, "seq": ANYTHING})
)


@given(FRAMES | ANYTHING)
def test_every_frame_is_taken_in_the_form_of_the_contract_or_refused(value) -> None:
    body = msgspec.json.encode(value)
    try:
        frame = read_client_frame(body.decode())
    except (RefusedFrameError, MalformedFrameError):
        return
    if isinstance(frame, AgentFrame):
        sample = frame.to_sample(1, NOW)
        assert msgspec.json.decode(msgspec.json.encode(sample), type=Sample).at == NOW
        again = read_agent_frame(msgspec.json.encode(frame))
        assert again == frame


@given(st.text() | st.binary().map(lambda body: body.decode("utf-8", "replace")))
def test_every_text_is_read_or_refused(text: str) -> None:
    with contextlib.suppress(RefusedFrameError, MalformedFrameError):
        assert read_client_frame(text) is not None


def test_credentials_do_not_show_themselves() -> None:
    assert "telem_secret" not in repr(AuthFrame(token="telem_secret"))


def test_backslash_that_only_looks_like_nul_is_text() -> None:
    text = '{"type":"status","agent_id":"a","timestamp":"2026-01-30T12:00:00Z","status":"\\\\u0000"}'
    assert read_client_frame(text).status == "\\u0000"


def test_bucket_lets_a_second_through_and_then_keeps_the_rate() -> None:
    bucket = TokenBucket(100, 0.0)
    assert [bucket.spend(1, 0.0) for _ in range(100)] == [0.0] * 100
    assert round(bucket.spend(1, 0.0), 6) == 0.01
    assert bucket.spend(1, 0.1) == 0.0
    assert round(bucket.spend(1000, 10.0), 6) == 9.0
