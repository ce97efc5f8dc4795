"""Archives: a package sent as ZIP. Nothing is unpacked to disk; one file is read, within bounds."""

import io
import stat
import zipfile
import zlib

from agent_runtime.skills.domain.packages import FILE, MAX_BYTES
from agent_runtime.skills.errors import InvalidPackageError

MAGIC = b"PK\x03\x04"
MAX_ARCHIVE_BYTES = 1024 * 1024
_MAX_FILES = 100
_METHODS = frozenset({zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED})
"""Others are unpacked block by block, and a block may be of any size."""
_SYMLINK_SYSTEM = 16
"""How far the file mode is shifted in an entry's external attributes."""


def skill_file(archive: bytes) -> bytes:
    """Read SKILL.md from an archive, at its top or in its only folder.

    Raises:
        InvalidPackageError: It is no archive, holds paths that lead out of it, links, or too much.
    """
    try:
        with zipfile.ZipFile(io.BytesIO(archive)) as opened:
            entries = opened.infolist()
            if len(entries) > _MAX_FILES:
                raise InvalidPackageError(f"The archive holds more than {_MAX_FILES} files.")
            for entry in entries:
                _check(entry)
            return _read(opened, _find(entries))
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError, OSError) as error:
        raise InvalidPackageError(f"The archive cannot be read ({type(error).__name__}).") from None


def check_path(path: str) -> None:
    """Refuse a path that could lead out of the folder it is put into.

    Raises:
        InvalidPackageError: It could.
    """
    parts = path.split("/")
    if path.startswith("/") or "\\" in path or ":" in path or "\x00" in path or ".." in parts:
        raise InvalidPackageError("The archive holds a path that leads out of it.")


def _check(entry: zipfile.ZipInfo) -> None:
    check_path(entry.orig_filename)
    check_path(entry.filename)
    if stat.S_ISLNK(entry.external_attr >> _SYMLINK_SYSTEM):
        raise InvalidPackageError("The archive holds a link.")
    if entry.compress_type not in _METHODS:
        raise InvalidPackageError("The archive is packed otherwise than by deflate.")


def _find(entries: list[zipfile.ZipInfo]) -> zipfile.ZipInfo:
    found = [entry for entry in entries if entry.filename.split("/")[-1] == FILE and entry.filename.count("/") <= 1]
    if len(found) != 1:
        raise InvalidPackageError(f"The archive does not hold one {FILE}, at its top or in its only folder.")
    return found[0]


def _read(opened: zipfile.ZipFile, entry: zipfile.ZipInfo) -> bytes:
    """Unpack one file, never more of it than fits, whatever the archive says of its size."""
    with opened.open(entry) as file:
        content = file.read(MAX_BYTES + 1)
    if len(content) > MAX_BYTES:
        raise InvalidPackageError(f"{FILE} is larger than {MAX_BYTES} bytes.")
    return content
