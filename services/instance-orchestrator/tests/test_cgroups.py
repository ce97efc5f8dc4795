"""Finding the part of the tree of cgroups that is ours, on trees that look like the kernel's: few machines lend one."""

import os
from pathlib import Path

import pytest

from instance_orchestrator.clients.local.cgroups import Cgroups, find_part
from instance_orchestrator.domain.plans import InstanceRef

BOT = InstanceRef(7, "bot-alpha")
ALL = "cpuset cpu io memory pids"


class Tree:
    """A tree of cgroups, and a process in it."""

    def __init__(self, folder: Path) -> None:
        self.top = folder / "tree"
        self.process = folder / "process"
        self.process.mkdir()
        (self.process / "mountinfo").write_text(
            f"24 1 0:22 / /proc rw - proc proc rw\n30 23 0:26 / {self.top} rw,nosuid - cgroup2 cgroup2 rw\n"
        )
        self.part("", offered=ALL)

    def part(self, path: str, *, offered: str = ALL, pids: str = "", mark: str | None = None) -> Path:
        part = self.top / path
        part.mkdir(parents=True, exist_ok=True)
        for name, content in {"controllers": offered, "subtree_control": "", "procs": pids}.items():
            (part / f"cgroup.{name}").write_text(content)
        if mark is not None:
            os.setxattr(part, mark, b"1")
        return part

    def find(self, path: str) -> Path | None:
        (self.process / "cgroup").write_text(f"5:pids:/elsewhere\n0::/{path}\n")
        return find_part(self.process)


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    return Tree(tmp_path)


def test_a_part_that_was_given_to_us_is_made_ready_for_instances(tree: Tree) -> None:
    part = tree.part("shoal.slice/shoal.service", mark="user.delegate")
    inside = tree.part("shoal.slice/shoal.service/main")
    assert tree.find("shoal.slice/shoal.service") == part
    assert tree.find("shoal.slice/shoal.service/main") == part
    assert (part / "cgroup.subtree_control").read_text() == "+memory +cpu"
    assert (inside / "cgroup.subtree_control").read_text() == ""


def test_our_own_processes_make_room(tree: Tree) -> None:
    part = tree.part("shoal.service", pids="11\n12\n", mark="user.delegate")
    tree.part("shoal.service/suite")
    assert tree.find("shoal.service") == part
    assert (part / "suite" / "cgroup.procs").read_text() == "12"


def test_a_part_that_is_somebody_elses_is_left_alone(tree: Tree) -> None:
    part = tree.part("user.slice/session-3.scope", pids="11\n")
    assert tree.find("user.slice/session-3.scope") is None
    assert (part / "cgroup.subtree_control").read_text() == ""
    assert not (part / "suite").exists()


def test_a_tree_that_limits_no_memory_is_of_no_use(tree: Tree) -> None:
    tree.part("shoal.service", offered="pids", mark="user.delegate")
    assert tree.find("shoal.service") is None
    (tree.process / "mountinfo").write_text("24 1 0:22 / /proc rw - proc proc rw\n")
    assert tree.find("") is None


def test_each_instance_of_each_suite_has_a_cgroup_of_its_own(tree: Tree, tmp_path: Path) -> None:
    ours, theirs = Cgroups(tree.top, tmp_path / "a"), Cgroups(tree.top, tmp_path / "b")
    made = ours.make(BOT)
    assert made == ours.make(BOT) != theirs.make(BOT)
    assert Path(made).is_dir()
    assert ours.remove(BOT)
    assert ours.remove(BOT)
    assert not Path(made).exists()
    assert Path(theirs.make(BOT)).exists()


def test_without_a_part_there_are_no_cgroups(tmp_path: Path) -> None:
    none = Cgroups(None, tmp_path)
    assert none.make(BOT) == ""
    assert none.remove(BOT)


def test_a_part_that_cannot_be_written_is_no_reason_not_to_run(tmp_path: Path) -> None:
    assert Cgroups(tmp_path / "gone", tmp_path).make(BOT) == ""
