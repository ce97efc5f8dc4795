"""A backup's folder is replaced as a whole: whatever happens, a whole backup is there, the former or the new one."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from shoal_operations.folders import MANIFEST, FolderError, replaced, whole

PARTS = ("part",)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "backups" / "nightly"
    write(folder, "former")
    return folder


def write(folder: Path, text: str) -> None:
    with replaced(folder, parts=PARTS) as fresh:
        (fresh / "part").write_text(text)
        (fresh / MANIFEST).write_text("{}")


def held(folder: Path) -> str:
    return (whole(folder) / "part").read_text()


def test_a_new_backup_takes_the_place_of_the_former_and_leaves_nothing_beside(folder: Path) -> None:
    folder.chmod(0o750)
    write(folder, "new")
    assert held(folder) == "new"
    assert folder.stat().st_mode & 0o777 == 0o750
    assert list(folder.parent.iterdir()) == [folder]
    assert sorted(one.name for one in folder.iterdir()) == [MANIFEST, "part"]


def test_a_full_disk_leaves_the_former_backup(folder: Path) -> None:
    with pytest.raises(OSError, match="No space"), replaced(folder, parts=PARTS):
        Path("/dev/full").write_text("half")
    assert held(folder) == "former"
    assert list(folder.parent.iterdir()) == [folder]


def test_a_kill_in_the_middle_leaves_the_former_backup_and_the_next_one_clears_up(folder: Path) -> None:
    script = f"""
import os, pathlib, signal
from shoal_operations.folders import replaced
with replaced(pathlib.Path({str(folder)!r}), parts=("part",)) as fresh:
    (fresh / "part").write_text("half")
    os.kill(os.getpid(), signal.SIGKILL)
"""
    killed = subprocess.run([sys.executable, "-c", script], check=False)
    assert killed.returncode == -signal.SIGKILL
    assert held(folder) == "former"
    write(folder, "new")
    assert held(folder) == "new"
    assert list(folder.parent.iterdir()) == [folder]


@pytest.mark.parametrize("made_again", [False, True])
def test_a_crash_between_the_two_renames_leaves_a_backup_that_is_found(folder: Path, *, made_again: bool) -> None:
    folder.rename(folder.with_name("nightly.former"))
    (folder.with_name("nightly.unfinished")).mkdir()
    if made_again:
        folder.mkdir()  # `mkdir -p` in front of the nightly backup
    assert held(folder) == "former"
    with pytest.raises(RuntimeError), replaced(folder, parts=PARTS):
        raise RuntimeError
    assert held(folder) == "former"
    assert list(folder.parent.iterdir()) == [folder]


def test_what_is_no_part_of_a_backup_is_left_alone(folder: Path) -> None:
    (folder / "letters").mkdir()
    with pytest.raises(FolderError, match="no part of a backup: letters"):
        write(folder, "new")
    assert held(folder) == "former"
    with pytest.raises(FolderError, match="is a mount point"):
        write(Path("/"), "new")
    with pytest.raises(FolderError, match="is no folder"):
        write(folder / "part", "new")


def test_a_link_goes_on_leading_to_the_backup(folder: Path) -> None:
    link = folder.parent.parent / "link"
    link.symlink_to(folder)
    write(link, "new")
    assert link.is_symlink()
    assert held(folder) == held(link) == "new"


def test_a_folder_without_a_manifest_is_no_backup(folder: Path) -> None:
    (folder / MANIFEST).unlink()
    with pytest.raises(FolderError, match=f"no whole backup in {folder}"):
        whole(folder)
