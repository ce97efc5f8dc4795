"""The journal: what it promises of each frame."""

import json
import os
import time
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings, strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from shoal_agent.errors import FrameTooLargeError, InvalidSettingError
from shoal_agent.journal import MAX_FRAME_BYTES, Journal, journal as journal_module

SMALL = 8 * MAX_FRAME_BYTES


def frame(text: str = "x") -> bytes:
    return json.dumps({"text": text}).encode()


def everything(journal: Journal, after: int = 0) -> list[tuple[int, bytes]]:
    journal.sync()
    cursor, found = journal.unacknowledged(after), []
    while records := journal.take(cursor, items=7, size=10**6):
        found += [(record.seq, record.frame) for record in records]
    return found


def newest(directory: Path) -> Path:
    return max(directory.glob("*.log"))


def test_frames_come_back_in_order_from_one(tmp_path: Path) -> None:
    with Journal(tmp_path) as journal:
        assert [journal.append(frame(str(n))) for n in range(3)] == [1, 2, 3]
        assert everything(journal) == [(1, frame("0")), (2, frame("1")), (3, frame("2"))]
        assert everything(journal, after=2) == [(3, frame("2"))]


def test_epoch_and_seq_survive_a_restart_even_when_all_is_acknowledged(tmp_path: Path) -> None:
    with Journal(tmp_path) as journal:
        epoch = journal.epoch
        journal.append(frame())
        journal.acknowledge(1)
    with Journal(tmp_path) as journal:
        assert (journal.epoch, journal.pending, journal.append(frame())) == (epoch, 0, 2)


def test_another_directory_has_another_epoch(tmp_path: Path) -> None:
    with Journal(tmp_path / "a") as one, Journal(tmp_path / "b") as other:
        assert one.epoch != other.epoch


def test_take_hands_out_only_what_is_on_disk(tmp_path: Path) -> None:
    with Journal(tmp_path) as journal:
        journal.append(frame())
        cursor = journal.unacknowledged()
        assert journal.take(cursor, items=1, size=1000) == []
        journal.sync()
        assert [record.seq for record in journal.take(cursor, items=1, size=1000)] == [1]


def test_take_honours_items_and_size_but_gives_at_least_one(tmp_path: Path) -> None:
    with Journal(tmp_path) as journal:
        for _ in range(10):
            journal.append(frame("x" * 100))
        journal.sync()
        cursor = journal.unacknowledged()
        assert len(journal.take(cursor, items=3, size=10_000)) == 3
        assert len(journal.take(cursor, items=10, size=250)) == 2
        assert len(journal.take(cursor, items=10, size=1)) == 1


def test_frames_written_but_never_closed_survive(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    journal.append(frame("a"))
    epoch = journal.epoch
    with Journal(tmp_path) as after_crash:
        assert after_crash.epoch == epoch
        assert everything(after_crash) == [(1, frame("a"))]
    journal.close()


@pytest.mark.parametrize("lost_bytes", [1, 5, 20])
def test_torn_tail_costs_the_unfinished_frame_and_its_seq(tmp_path: Path, lost_bytes: int) -> None:
    with Journal(tmp_path) as journal:
        journal.append(frame("whole"))
        journal.append(frame("torn"))
    os.truncate(newest(tmp_path), newest(tmp_path).stat().st_size - lost_bytes)
    with Journal(tmp_path) as journal:
        assert everything(journal) == [(1, frame("whole"))]
        assert journal.append(frame("new")) == 3
        assert journal.stats().drops.damaged == 1
    with Journal(tmp_path) as journal:
        assert everything(journal) == [(1, frame("whole")), (3, frame("new"))]
        assert journal.stats().drops.damaged == 1


def test_damaged_frame_in_the_middle_costs_itself_alone(tmp_path: Path) -> None:
    with Journal(tmp_path) as journal:
        for text in ("one", "two", "three"):
            journal.append(frame(text))
    path = newest(tmp_path)
    path.write_bytes(path.read_bytes().replace(b"two", b"tWo"))
    with Journal(tmp_path) as journal:
        assert [seq for seq, _ in everything(journal)] == [1, 3]


def test_unreadable_newest_file_begins_another_life(tmp_path: Path) -> None:
    with Journal(tmp_path) as journal:
        journal.append(frame())
        epoch = journal.epoch
    newest(tmp_path).write_bytes(b"\0" * 100)
    with Journal(tmp_path) as journal:
        assert journal.epoch != epoch
        assert journal.append(frame()) == 1


def test_lost_position_costs_a_resend_only(tmp_path: Path) -> None:
    with Journal(tmp_path) as journal:
        for _ in range(5):
            journal.append(frame())
        journal.acknowledge(4)
    (tmp_path / "position.json").write_bytes(b"{")
    with Journal(tmp_path) as journal:
        assert [seq for seq, _ in everything(journal)] == [1, 2, 3, 4, 5]
        assert journal.append(frame()) == 6


def test_frames_older_than_a_day_are_dropped_and_counted(tmp_path: Path) -> None:
    clock = [time.time()]
    with Journal(tmp_path, now=lambda: clock[0]) as journal:
        for _ in range(3):
            journal.append(frame("old"))
        clock[0] += 3600
        journal.append(frame("young"))
        clock[0] += 23 * 3600 - 1
        assert journal.pending == 4
        assert len(everything(journal)) == 4
        clock[0] += 2
        assert everything(journal) == [(4, frame("young"))]
        assert (journal.pending, journal.stats().drops.expired) == (1, 3)
        clock[0] += 3600
        assert everything(journal) == []
        assert journal.stats().drops.expired == 4


def test_expiry_needs_no_reader(tmp_path: Path) -> None:
    clock = [time.time()]
    with Journal(tmp_path, max_bytes=SMALL, now=lambda: clock[0]) as journal:
        for _ in range(10):
            journal.append(frame("x" * 20_000))
        clock[0] += 25 * 3600
        journal.append(frame("new"))
        stats = journal.stats()
        assert (stats.pending, stats.drops.expired) == (1, 10)
        assert len(list(tmp_path.glob("*.log"))) <= 2


def test_size_is_bounded_by_dropping_the_oldest(tmp_path: Path) -> None:
    with Journal(tmp_path, max_bytes=SMALL) as journal:
        for _ in range(300):
            journal.append(frame("x" * 2000))
        stats = journal.stats()
        on_disk = sum(path.stat().st_size for path in tmp_path.glob("*.log"))
        assert stats.size_bytes == on_disk <= SMALL
        kept = [seq for seq, _ in everything(journal)]
        assert kept == list(range(300 - len(kept) + 1, 301))
        assert stats.drops.overflowed + len(kept) == 300


def test_acknowledged_files_are_deleted(tmp_path: Path) -> None:
    with Journal(tmp_path, max_bytes=SMALL) as journal:
        for _ in range(50):
            journal.append(frame("x" * 4000))
        assert len(list(tmp_path.glob("*.log"))) > 3
        journal.acknowledge(50)
        assert len(list(tmp_path.glob("*.log"))) == 1
        assert everything(journal) == []


def test_acknowledging_more_than_was_appended_changes_nothing(tmp_path: Path) -> None:
    with Journal(tmp_path) as journal:
        journal.append(frame())
        journal.acknowledge(99)
        assert journal.pending == 1


def test_wrong_frames_are_refused(tmp_path: Path) -> None:
    with Journal(tmp_path) as journal:
        with pytest.raises(FrameTooLargeError):
            journal.append(frame("x" * MAX_FRAME_BYTES))
        for wrong in (b"{}", b"[]", b'{"a":\n1}', b""):
            with pytest.raises(ValueError, match="one line"):
                journal.append(wrong)
        assert journal.last_seq == 0


def test_too_small_a_bound_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidSettingError):
        Journal(tmp_path, max_bytes=1000)


def test_full_disk_loses_the_frame_and_nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real_write = os.write

    def half_a_write(file: int, content: bytes) -> int:
        if len(content) > 20:
            return real_write(file, content[: len(content) // 2])
        raise OSError(28, "No space left on device")

    with Journal(tmp_path) as journal:
        journal.append(frame("before"))
        monkeypatch.setattr(os, "write", half_a_write)
        with pytest.raises(OSError, match="No space"):
            journal.append(frame("lost"))
        monkeypatch.undo()
        assert journal.append(frame("after")) == 2
        assert everything(journal) == [(1, frame("before")), (2, frame("after"))]


def test_used_up_seq_begins_another_life(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal_module, "MAX_SEQ", 3)
    with Journal(tmp_path) as journal:
        epoch = journal.epoch
        assert [journal.append(frame()) for _ in range(4)] == [1, 2, 3, 1]
        assert journal.epoch != epoch
        assert journal.stats().drops.overflowed == 3
        assert [seq for seq, _ in everything(journal)] == [1]


def test_files_are_private(tmp_path: Path) -> None:
    with Journal(tmp_path / "journal") as journal:
        journal.append(frame())
    assert (tmp_path / "journal").stat().st_mode & 0o777 == 0o700
    assert {path.stat().st_mode & 0o777 for path in (tmp_path / "journal").iterdir()} == {0o600}


class JournalMachine(RuleBasedStateMachine):
    """Whatever happens, what is handed out is what was appended, and nothing unacknowledged is missing."""

    directory: Path

    @initialize()
    def begin(self) -> None:
        self.clock = time.time()
        self.appended: dict[int, tuple[float, bytes]] = {}
        self.torn: set[int] = set()
        self.acknowledged = 0
        self.open()
        self.epoch = self.journal.epoch

    def open(self) -> None:
        self.journal = Journal(self.directory, max_bytes=SMALL, now=lambda: self.clock)

    @rule(texts=st.lists(st.text(max_size=50), min_size=1, max_size=5), padding=st.sampled_from([0, 0, 3000]))
    def append(self, texts: list[str], padding: int) -> None:
        for text in texts:
            content = frame(text + "x" * padding)
            seq = self.journal.append(content)
            assert seq > max(self.appended, default=0)
            self.appended[seq] = (self.clock, content)

    @rule(share=st.floats(0, 1))
    def acknowledge(self, share: float) -> None:
        seq = int(max(self.appended, default=0) * share)
        self.journal.acknowledge(seq)
        self.acknowledged = max(self.acknowledged, seq)

    @rule(hours=st.sampled_from([0.1, 5, 11]))
    def wait(self, hours: float) -> None:
        self.clock += hours * 3600

    @rule()
    def restart(self) -> None:
        self.journal.close()
        self.open()

    @rule()
    def crash(self) -> None:
        """Lose what only the process knew."""
        abandoned, self.journal = self.journal, None  # type: ignore[assignment]
        os.close(abandoned._file)
        self.open()

    @rule(lost_bytes=st.integers(1, 30))
    def tear(self, lost_bytes: int) -> None:
        """Die in the middle of writing a frame, of which nobody has heard yet."""
        seq = self.journal.append(frame("torn" * 10))
        self.torn.add(seq)
        os.truncate(newest(self.directory), newest(self.directory).stat().st_size - lost_bytes)
        self.crash()

    @invariant()
    def hands_out_what_is_owed(self) -> None:
        if not hasattr(self, "journal"):
            return
        found = everything(self.journal)
        seqs = [seq for seq, _ in found]
        alive = [seq for seq, (at, _) in self.appended.items() if int(at * 1000) >= int(self.clock * 1000) - 86_400_000]
        owed = {seq for seq in alive if seq > self.acknowledged}
        assert seqs == sorted(set(seqs))
        assert owed <= set(seqs) or self.journal.stats().drops.overflowed
        assert all(content == self.appended[seq][1] for seq, content in found)
        assert set(seqs) <= set(alive)
        assert self.journal.epoch == self.epoch
        assert self.journal.stats().size_bytes <= SMALL

    def teardown(self) -> None:
        if hasattr(self, "journal"):
            self.journal.close()


def test_journal_keeps_its_promises_whatever_happens(tmp_path_factory: pytest.TempPathFactory) -> None:
    class Machine(JournalMachine):
        def __init__(self) -> None:
            super().__init__()
            self.directory = tmp_path_factory.mktemp("journal")

    test = Machine.TestCase
    test.settings = settings(
        max_examples=60, stateful_step_count=25, deadline=None, suppress_health_check=list(HealthCheck)
    )
    test().runTest()
