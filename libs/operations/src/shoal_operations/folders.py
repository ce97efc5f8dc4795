"""The folder of a backup, replaced as a whole: what is there stays until what comes in its place is complete.

    DIR              the backup; never written into
    DIR.unfinished   what is being written; removed when it failed, or by the next backup where nobody was left to do so
    DIR.former       what DIR was, for the moment between two renames; a crash there leaves it for the restore to find
                     and the next backup to put back
    DIR.lock, DIR/lock   held while one of these changes; the second is also held by `save-database.sh`

All are beside each other, so on one file system. Nothing here is removed that a backup does not consist of.
"""

import contextlib
import fcntl
import os
import shutil
import stat
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import IO, Final

from shoal_operations.errors import OperationError

MANIFEST: Final = "manifest.json"
"""Written last: a folder without it is no backup."""
LOCK: Final = "lock"


class FolderError(OperationError):
    """A folder cannot become or is not a backup."""


def whole(folder: Path) -> Path:
    """Find the backup that a folder's name stands for.

    Raises:
        FolderError: There is none, or it is not complete.
    """
    for place in (folder, _former(folder.resolve())):
        if (place / MANIFEST).exists():
            return place
    raise FolderError(
        f"no whole backup in {folder}", f"name a folder that `shoal backup` wrote: one with a {MANIFEST} in it"
    )


@contextlib.contextmanager
def replaced(folder: Path, *, parts: Collection[str]) -> Iterator[Path]:
    """Give a new empty folder, and put it in the place of this one when the block ends well.

    Args:
        folder: The backup, or where there will be one.
        parts: The names of what a backup consists of; a folder with anything else in it is left alone.

    Raises:
        FolderError: It cannot be replaced, or another backup is being written there.
    """
    folder = folder.resolve()  # of a link, what it leads to: it goes on leading there
    if folder.is_mount():
        raise FolderError(f"{folder} is a mount point, which nothing can take the place of", "name a folder in it")
    folder.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    fresh = _beside(folder, "unfinished")
    with _held(_beside(folder, "lock"), folder), contextlib.ExitStack() as stack:
        if folder.exists():
            _check_parts(folder, parts)
            stack.enter_context(_held(folder / LOCK, folder))
        _settle(folder, parts)
        try:
            fresh.mkdir(mode=0o700)
            if folder.exists():
                fresh.chmod(stat.S_IMODE(folder.stat().st_mode))
            yield fresh
            _sync(fresh)
            _swap(fresh, folder)
        except BaseException:
            shutil.rmtree(fresh, ignore_errors=True)
            raise
        shutil.rmtree(_former(folder), ignore_errors=True)


def _settle(folder: Path, parts: Collection[str]) -> None:
    """Finish or undo what an earlier backup was doing when it was killed."""
    fresh, former = _beside(folder, "unfinished"), _former(folder)
    if former.exists():
        _check_parts(former, parts)
        if not (folder / MANIFEST).exists():
            shutil.rmtree(folder, ignore_errors=True)
            former.rename(folder)
        else:
            shutil.rmtree(former)
    if fresh.exists():
        _check_parts(fresh, parts)
        shutil.rmtree(fresh)


def _swap(fresh: Path, folder: Path) -> None:
    former = _former(folder)
    if folder.exists():
        folder.rename(former)
    try:
        fresh.rename(folder)
    except OSError:
        if former.exists():
            former.rename(folder)
        raise
    _sync_entry(folder.parent)


def _sync(folder: Path) -> None:
    """Have everything in a folder on disk before its name is another's."""
    for path in folder.iterdir():
        _sync_entry(path)
    _sync_entry(folder)


def _sync_entry(path: Path) -> None:
    opened = os.open(path, os.O_RDONLY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)


def _check_parts(folder: Path, parts: Collection[str]) -> None:
    if not folder.is_dir():
        raise FolderError(f"{folder} is no folder", "name a folder of its own for the backup")
    strange = sorted(path.name for path in folder.iterdir() if path.name not in {*parts, MANIFEST, LOCK})
    if strange:
        raise FolderError(
            f"{folder} holds what is no part of a backup: {', '.join(strange[:3])}",
            "name a folder of its own for the backup: it is replaced as a whole",
        )


@contextlib.contextmanager
def _held(lock: Path, folder: Path) -> Iterator[None]:
    """Keep others out; however this process ends, it keeps them out no longer."""
    with lock.open("w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise _busy(folder) from None
        if not _is_still(lock, file):  # its holder has just removed it, and another may hold a new one
            raise _busy(folder)
        try:
            yield
        finally:
            if _is_still(lock, file):
                lock.unlink()


def _is_still(lock: Path, file: IO[str]) -> bool:
    with contextlib.suppress(FileNotFoundError):
        return lock.stat().st_ino == os.fstat(file.fileno()).st_ino
    return False


def _busy(folder: Path) -> FolderError:
    return FolderError(f"another backup is being written into {folder}", "wait until it is done")


def _former(folder: Path) -> Path:
    return _beside(folder, "former")


def _beside(folder: Path, what: str) -> Path:
    return folder.with_name(f"{folder.name}.{what}")
