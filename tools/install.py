"""Make `.venv` and install Shoal into it, pinned by constraints.txt. Needs nothing but Python 3.11 or newer.

Usage: python3 tools/install.py [--dev]. Does nothing when what is installed is already what is asked for.
"""

import hashlib
import os
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
STAMP = VENV / "installed"
OLDEST = (3, 11)
TRUST = {"UV_SYSTEM_CERTS": "1", "UV_NATIVE_TLS": "1", "UV_LINK_MODE": "copy"}
"""uv trusts what the machine trusts, as pip does."""


def main() -> None:
    """Install what is asked for, or say why that cannot be done and what to do about it."""
    if sys.version_info < OLDEST:
        found = sys.version.split()[0]
        fail(f"Python 3.11 or newer is needed, this is {found}", "install it, then: make up PYTHON=python3.11")
    is_dev = "--dev" in sys.argv
    wanted = fingerprint(is_dev)
    installed = STAMP.read_text().split() if STAMP.exists() else []
    if wanted in installed:
        return
    started = time.monotonic()
    if not (VENV / "bin" / "python").exists():
        make_venv()
    step("Fetching the installer", pip("install", "--quiet", "--disable-pip-version-check", pinned("uv")))
    what = "Installing Shoal and the tools of its tests" if is_dev else "Installing Shoal"
    step(what, packages(is_dev), otherwise=packages_by_pip(is_dev))
    STAMP.write_text(" ".join([wanted, fingerprint(is_dev=False)]))
    print(f"Installed in {time.monotonic() - started:.0f} s.", flush=True)


def make_venv() -> None:
    """Make the virtual environment."""
    try:
        import ensurepip  # noqa: F401, PLC0415 - Debian ships it apart
    except ImportError:
        version = f"{sys.version_info.major}.{sys.version_info.minor}"
        fail(
            "this Python cannot make virtual environments", f"on Debian or Ubuntu: apt-get install python{version}-venv"
        )
    step("Making .venv", [sys.executable, "-m", "venv", str(VENV)])


def packages(is_dev: bool) -> list[str]:  # noqa: FBT001 - internal
    """Write the command that installs every member of the workspace."""
    command = [str(VENV / "bin" / "uv"), "pip", "install", "--quiet", "--python", str(VENV / "bin" / "python")]
    return [*command, *editables(), *(["--group", "dev"] if is_dev else [])]


def packages_by_pip(is_dev: bool) -> list[str]:  # noqa: FBT001 - internal
    """Write the same for pip, which is slower but reads every setting that people have made for it."""
    import tomllib  # noqa: PLC0415 - an older Python must come as far as being told that it is too old

    groups = tomllib.loads((ROOT / "pyproject.toml").read_text())["dependency-groups"]
    return pip("install", "--quiet", "--disable-pip-version-check", *editables(), *(groups["dev"] if is_dev else []))


def editables() -> list[str]:
    """Write the arguments that name every member and the pinned versions."""
    named = [part for member in members() for part in ("--editable", str(member.relative_to(ROOT)))]
    return ["--constraint", "constraints.txt", *named]


def members() -> list[Path]:
    """List the distributions of the repository."""
    folders = [*ROOT.glob("libs/*"), ROOT / "proto-schemas" / "python", ROOT / "gateway", *ROOT.glob("services/*")]
    return sorted(folder for folder in folders if (folder / "pyproject.toml").exists())


def pinned(name: str) -> str:
    """Give a requirement at its pinned version."""
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    return next((line for line in lines if line.startswith(f"{name}==")), name)


def pip(*arguments: str) -> list[str]:
    """Write a pip command."""
    return [str(VENV / "bin" / "python"), "-m", "pip", *arguments]


def fingerprint(is_dev: bool) -> str:  # noqa: FBT001 - internal
    """Hash everything that decides what is installed."""
    digest = hashlib.sha256(repr((is_dev, str(ROOT), sys.version_info[:2])).encode())
    for file in [ROOT / "constraints.txt", ROOT / "pyproject.toml", *(m / "pyproject.toml" for m in members())]:
        digest.update(file.read_bytes())
    return digest.hexdigest()[:16]


def step(what: str, command: list[str], *, otherwise: list[str] | None = None) -> None:
    """Run one command, saying so; on failure try the other way, then show its last words and what can be done."""
    print(f"{what} …", flush=True)
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, env=os.environ | TRUST)
    if done.returncode != 0 and otherwise is not None:
        print("That did not go; trying again with pip …", flush=True)
        done = subprocess.run(otherwise, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        words = "\n".join((done.stdout + done.stderr).strip().splitlines()[-15:])
        fail(f"{what.lower()} failed:\n{words}", "check that a package index can be reached, then run this again")


def fail(what: str, cure: str) -> None:
    """Say what is wrong and what to do, and end."""
    print(f"shoal: {what}\n  → {cure}", file=sys.stderr)
    sys.exit(1)


if __name__ == "__main__":
    main()
