"""What is noted in a run: numbered without a gap, whatever becomes of transactions."""

from agent_runtime.runs.domain.notes import Notes
from agent_runtime.runs.domain.runs import EventType, RunEvent


def told(events: tuple[RunEvent, ...]) -> list[tuple[int, str]]:
    return [(event.seq, event.data.get("content", event.type)) for event in events]


def test_text_becomes_one_event_by_the_time_it_is_given() -> None:
    notes = Notes(2)
    tokens = [notes.say(text) for text in ("one ", "two")]
    assert [token.offset for token in tokens] == [0, 4]
    assert notes.has_text
    (event,) = notes.give()
    assert (event.seq, event.data) == (3, {"content": "one two", "offset": 0, "step": 1})
    assert not notes.has_text
    assert notes.give() == ()


def test_steps_count_text_from_where_earlier_ones_ended() -> None:
    notes = Notes(0)
    notes.say("early")
    notes.begin_step(2, offset=5)
    assert notes.say("late").offset == 5
    early, late = notes.give()
    assert (early.data["step"], early.data["offset"]) == (1, 0)
    assert (late.data["step"], late.data["offset"]) == (2, 5)


def test_what_was_given_is_in_doubt_until_it_is_let_go() -> None:
    notes = Notes(4)
    notes.note(EventType.USAGE, {})
    assert notes.in_doubt is None
    given = notes.give()
    assert notes.in_doubt == 5
    notes.say("more")
    assert notes.let_go() == given
    assert notes.in_doubt is None
    assert told(notes.give()) == [(6, "more")]


def test_of_what_is_taken_back_text_and_tries_last_under_new_numbers() -> None:
    notes = Notes(7)
    notes.say("said")
    notes.note(EventType.USAGE, {})
    notes.give()
    notes.note(EventType.RETRY, {})
    notes.note(EventType.COMPLETED, {})
    notes.take_back()
    assert notes.in_doubt is None
    notes.note(EventType.FAILED, {})
    assert told(notes.give()) == [(8, "said"), (9, "retry"), (10, "failed")]
