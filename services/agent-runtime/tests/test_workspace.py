"""Nothing leads out of a workspace."""

import contextlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings, strategies as st

from agent_runtime.errors import ToolError
from agent_runtime.tools.clients.workspace import Workspace, Workspaces

PART = st.sampled_from(["..", ".", "", "a", "b", "out", "link", "up", "etc", "passwd", "~", "a\x00b", "…", "a" * 300])
PATHS = st.one_of(
    st.text(max_size=40),
    st.lists(PART, max_size=6).map("/".join),
    st.lists(PART, max_size=6).map(lambda parts: "/" + "/".join(parts)),
)


def make(folder: Path) -> tuple[Workspace, Path]:
    """Make a workspace with links that lead out, and beside it what must stay as it is."""
    outside = folder / "outside"
    outside.mkdir()
    (outside / "secret").write_text("secret")
    root = folder / "workspace"
    (root / "a").mkdir(parents=True)
    (root / "a" / "b").write_text("inside")
    (root / "out").symlink_to(outside)
    (root / "link").symlink_to(outside / "secret")
    (root / "up").symlink_to("..")
    return Workspace(root), outside


def snapshot(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@contextlib.contextmanager
def as_nobody(folder: Path) -> Iterator[None]:
    """Be held to what modes say, which root is not: own all in a folder as nobody, and be nobody."""
    if os.geteuid():
        yield
        return
    for path in (folder, *folder.rglob("*")):
        os.chown(path, 65534, 65534, follow_symlinks=False)
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(0)


@settings(max_examples=300)
@given(path=PATHS)
def test_no_path_reads_or_writes_outside(path: str) -> None:
    with tempfile.TemporaryDirectory() as temporary:
        workspace, outside = make(Path(temporary))
        before = snapshot(outside)
        with contextlib.suppress(ToolError):
            assert workspace.read(path, offset=0, limit=100)[0] in {b"inside", b""}
        with contextlib.suppress(ToolError):
            assert "secret" not in [entry.name for entry in workspace.list(path)]
        with contextlib.suppress(ToolError):
            workspace.write(path, b"written")
        assert snapshot(outside) == before
        assert {entry.name for entry in Path(temporary).iterdir()} == {"outside", "workspace"}


@pytest.mark.parametrize(
    "path", ["../outside/secret", "/etc/passwd", "link", "out/secret", "up/outside/secret", "a/../../outside/secret"]
)
def test_known_ways_out_are_refused(tmp_path: Path, path: str) -> None:
    workspace, _ = make(tmp_path)
    with pytest.raises(ToolError):
        workspace.read(path, offset=0, limit=100)


def test_write_replaces_a_link_and_not_what_it_leads_to(tmp_path: Path) -> None:
    workspace, outside = make(tmp_path)
    workspace.write("link", b"mine")
    assert (outside / "secret").read_text() == "secret"
    assert workspace.read("link", offset=0, limit=100) == (b"mine", 4)


def test_what_is_no_file_is_not_read(tmp_path: Path) -> None:
    workspace, _ = make(tmp_path)
    os.mkfifo(tmp_path / "workspace" / "pipe")
    for path in ("pipe", "a", ".", "absent"):
        with pytest.raises(ToolError):
            workspace.read(path, offset=0, limit=100)


def test_written_files_are_read_back_in_pieces(tmp_path: Path) -> None:
    workspace, _ = make(tmp_path)
    workspace.write("deep/er/file", b"0123456789")
    assert workspace.read("deep/er/file", offset=3, limit=4) == (b"3456", 10)
    assert [(entry.name, entry.kind) for entry in workspace.list("deep")] == [("er", "folder")]
    with pytest.raises(ToolError):
        workspace.write("deep", b"x")
    with pytest.raises(ToolError):
        workspace.write("big", b"x" * (1024 * 1024 + 1))


def test_names_that_are_no_text_are_listed_all_the_same(tmp_path: Path) -> None:
    (tmp_path / os.fsdecode(b"a\xff")).write_text("x")
    assert [entry.name for entry in Workspace(tmp_path).list(".")] == ["a\ufffd"]


def test_removing_a_folder_takes_links_and_leaves_what_they_lead_to(tmp_path: Path) -> None:
    (tmp_path / "acct_1").mkdir()
    _, outside = make(tmp_path / "acct_1")
    workspaces = Workspaces(tmp_path)
    (tmp_path / "acct_2").symlink_to(outside)
    assert workspaces.list().keys() == {"acct_1"}
    (tmp_path / "acct_1" / "agent_1").symlink_to(outside)
    (tmp_path / "acct_1" / "workspace" / "a").chmod(0o500)
    before = snapshot(outside)
    for name in ("agent_1", "workspace"):
        workspaces.remove("acct_1", name)
    with pytest.raises(NotADirectoryError):
        workspaces.remove("acct_2", "secret")
    workspaces.remove("acct_2")
    assert snapshot(outside) == before
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["acct_1", "outside", "secret"]


def test_folders_behind_a_link_are_listed_and_removed(tmp_path: Path) -> None:
    (tmp_path / "disk" / "acct_1" / "agent_1").mkdir(parents=True)
    (tmp_path / "disk" / "acct_2").symlink_to(tmp_path / "disk" / "acct_1")
    (tmp_path / "workspaces").symlink_to(tmp_path / "disk")
    workspaces = Workspaces(tmp_path / "workspaces")
    assert workspaces.list() == {"acct_1": ["agent_1"]}
    with pytest.raises(NotADirectoryError):
        workspaces.remove("acct_2", "agent_1")
    workspaces.remove("acct_1", "agent_1")
    assert workspaces.list() == {"acct_1": []}


def test_folders_that_nobody_may_open_are_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    outside, agent = tmp_path / "outside", tmp_path / "acct_1" / "agent_1"
    outside.mkdir()
    (agent / "a" / "b").mkdir(parents=True)
    (agent / "a" / "b" / "file").write_text("x")
    (agent / "a" / "out").symlink_to("../../../outside")
    monkeypatch.chdir(tmp_path)  # what leads there is root's alone
    with as_nobody(tmp_path):
        Path("outside").chmod(0o500)
        for shut in (agent / "a" / "b", agent / "a", agent):
            shut.relative_to(tmp_path).chmod(0)
        with pytest.raises(PermissionError):
            list(Path("acct_1/agent_1").iterdir())
        Workspaces(Path()).remove("acct_1", "agent_1")
        assert list(Path("acct_1").iterdir()) == []
        assert Path("outside").stat().st_mode & 0o777 == 0o500
