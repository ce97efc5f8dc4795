"""The programs that the generator calls; both come with the development environment."""

import os
import shutil
import subprocess
import sys
from pathlib import Path


class ToolFailedError(Exception):
    """A program failed, or is not there."""


def run(program: str, *arguments: str, folder: Path | None = None, stdin: bytes = b"") -> bytes:
    """Run a program that stands beside the Python interpreter or in PATH, and return what it printed.

    Raises:
        ToolFailedError: It was not found, or ended with a failure; the message is its own.
    """
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    found = shutil.which(program, path=path)
    if found is None:
        raise ToolFailedError(f"{program} is not installed")
    done = subprocess.run([found, *arguments], cwd=folder, input=stdin, check=False, capture_output=True)
    if done.returncode != 0:
        raise ToolFailedError((done.stdout + done.stderr).decode(errors="replace").strip())
    return done.stdout
