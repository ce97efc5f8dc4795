"""Writing small files that nobody else may read."""

import os
from pathlib import Path


def write_private(path: Path, content: bytes, *, is_durable: bool = False) -> None:
    """Replace a file as a whole, mode 0600: readers see the old or the new content, never half of it.

    Args:
        path: The file; its directory exists. A draft beside it, `.<name>.new`, may stay behind after a crash.
        content: All of it.
        is_durable: Wait until it survives a power cut.
    """
    draft = path.with_name(f".{path.name}.new")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        if is_durable:
            file.flush()
            os.fsync(file.fileno())
    draft.replace(path)
    if is_durable:
        _sync_directory(path.parent)


def _sync_directory(directory: Path) -> None:
    """Make the names in a directory durable."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
