"""Agents' folders, and nothing that leads out of them.

Every path is walked one name at a time from the folder's own descriptor, and no link is ever followed, so neither `..`,
nor an absolute path, nor a symbolic link that somebody puts there meanwhile leads outside.
"""

import contextlib
import os
import secrets
import shutil
import stat
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath

from msgspec import Struct

from agent_runtime.errors import ToolError

MAX_FILE_BYTES = 1024 * 1024
MAX_ENTRIES = 1000
_MAX_PARTS = 32
_ROOT = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC  # whoever runs this may keep all folders behind a link of theirs
_FOLDER = _ROOT | os.O_NOFOLLOW
_SHUT = os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


class Entry(Struct, frozen=True):
    """Something in a folder; `size` in bytes, for files only."""

    name: str
    kind: str
    size: int | None = None


class Workspace:
    """The folder of one agent; made when first used. Its calls block: call them in a thread."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def read(self, path: str, *, offset: int, limit: int) -> tuple[bytes, int]:
        """Read a piece of a file; returns it with the file's size.

        Raises:
            ToolError: There is no such file here.
        """
        *folders, name = _parts(path, is_file=True)
        with _told(path), self._folder(folders) as folder, _opened(name, _FILE, folder) as file:
            about = os.fstat(file)
            if not stat.S_ISREG(about.st_mode):
                raise ToolError(f"{path} is no file.")
            return os.pread(file, limit, offset), about.st_size

    def write(self, path: str, content: bytes) -> None:
        """Write a file in one step, with the folders that lead to it; what was there is replaced.

        Raises:
            ToolError: It cannot be written here.
        """
        if len(content) > MAX_FILE_BYTES:
            raise ToolError(f"A file may hold {MAX_FILE_BYTES} bytes.")
        *folders, name = _parts(path, is_file=True)
        fresh = f".{secrets.token_hex(8)}.new"
        with _told(path), self._folder(folders, is_made=True) as folder:
            if _is_folder(name, folder):
                raise ToolError(f"{path} is a folder.")
            try:
                with os.fdopen(os.open(fresh, _NEW, 0o600, dir_fd=folder), "wb") as file:
                    file.write(content)
                os.replace(fresh, name, src_dir_fd=folder, dst_dir_fd=folder)
            except OSError:
                with contextlib.suppress(OSError):
                    os.unlink(fresh, dir_fd=folder)
                raise

    def list(self, path: str) -> list[Entry]:
        """List a folder by name.

        Raises:
            ToolError: There is no such folder here.
        """
        with _told(path), self._folder(_parts(path, is_file=False)) as folder, os.scandir(folder) as entries:
            found = sorted(entries, key=lambda entry: entry.name)[:MAX_ENTRIES]
            return [_entry(entry) for entry in found]

    def make(self) -> Path:
        """Make the folder, if it is not there; returns where it is."""
        self._root.mkdir(parents=True, exist_ok=True, mode=0o700)
        return self._root

    @contextlib.contextmanager
    def _folder(self, parts: Sequence[str], *, is_made: bool = False) -> Iterator[int]:
        """Open a folder below the root, one name at a time."""
        folder = os.open(self.make(), _FOLDER)
        try:
            for part in parts:
                if is_made:
                    with contextlib.suppress(FileExistsError):
                        os.mkdir(part, 0o700, dir_fd=folder)
                inner = os.open(part, _FOLDER, dir_fd=folder)
                os.close(folder)
                folder = inner
            yield folder
        finally:
            os.close(folder)


class Workspaces:
    """The folders of all agents: `<account>/<agent>`. Its calls block: call them in a thread."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def list(self) -> Mapping[str, Sequence[str]]:
        """List what there is by account; nothing that no id of ours is spelled like."""
        found: dict[str, Sequence[str]] = {}
        with contextlib.suppress(FileNotFoundError), _folder_at(self._root) as root:
            for name in _names(root):
                with contextlib.suppress(OSError), _folder_at(name, root) as account:  # links and files are nobody's
                    found[name] = _names(account)
        return found

    def remove(self, account_id: str, agent_id: str = "") -> None:
        """Remove an agent's folder or its whole account's, with all that is in it: links, but not what they lead to.

        Raises:
            OSError: Something in it cannot be removed.
        """
        with _folder_at(self._root) as root:
            if not agent_id:
                _remove(account_id, root)
                return
            with _folder_at(account_id, root) as account:
                _remove(agent_id, account)


def _parts(path: str, *, is_file: bool) -> list[str]:
    """Part a path into names.

    Raises:
        ToolError: It is absolute, leads upwards, or is no path.
    """
    pure = PurePosixPath(path)
    parts = [part for part in pure.parts if part != "."]
    is_bad = "\x00" in path or pure.is_absolute() or ".." in parts or len(parts) > _MAX_PARTS
    if is_bad or (is_file and not parts):
        raise ToolError(f"{path!r} is no path in the workspace: give one relative to it, without `..`.")
    return parts


@contextlib.contextmanager
def _told(path: str) -> Iterator[None]:
    """Tell the model in words what the system says."""
    try:
        yield
    except FileNotFoundError:
        raise ToolError(f"There is no {path}.") from None
    except (NotADirectoryError, IsADirectoryError, FileExistsError):
        raise ToolError(f"{path} is something else.") from None
    except (OSError, UnicodeError) as error:  # links are refused as ELOOP or ENOTDIR
        why = error.strerror if isinstance(error, OSError) else "that name cannot be written"
        raise ToolError(f"{path}: {why}.") from None


def _names(folder: int) -> Sequence[str]:
    with os.scandir(folder) as entries:
        return [entry.name for entry in entries if entry.name.isascii()]


def _remove(name: str, folder: int) -> None:
    if not _is_folder(name, folder):
        os.unlink(name, dir_fd=folder)
        return
    _unlock(name, folder)
    for _, names, _, inner in os.fwalk(name, dir_fd=folder):
        for each in names:
            _unlock(each, inner)  # before the walk opens it: what it cannot open it passes over
    shutil.rmtree(name, dir_fd=folder)


def _unlock(name: str, folder: int) -> None:
    """Let a folder be read and written to, or what is in it could not be removed; a link to one is left alone."""
    with contextlib.suppress(NotADirectoryError), _opened(name, _SHUT, folder) as found:
        Path(f"/proc/self/fd/{found}").chmod(0o700)  # fchmod refuses what is not open for reading


@contextlib.contextmanager
def _folder_at(path: Path | str, above: int | None = None) -> Iterator[int]:
    folder = os.open(path, _ROOT if above is None else _FOLDER, dir_fd=above)
    try:
        yield folder
    finally:
        os.close(folder)


@contextlib.contextmanager
def _opened(name: str, flags: int, folder: int) -> Iterator[int]:
    file = os.open(name, flags, dir_fd=folder)
    try:
        yield file
    finally:
        os.close(file)


def _is_folder(name: str, folder: int) -> bool:
    try:
        return stat.S_ISDIR(os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode)
    except FileNotFoundError:
        return False


def _entry(entry: "os.DirEntry[str]") -> Entry:
    name = os.fsencode(entry.name).decode("utf-8", "replace")  # whatever a shell may have called it
    if entry.is_symlink():
        return Entry(name, "link")
    if entry.is_dir(follow_symlinks=False):
        return Entry(name, "folder")
    return Entry(name, "file", entry.stat(follow_symlinks=False).st_size)
