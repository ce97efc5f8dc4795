"""Install OpenSSH's server for tests of ways into instances, where that can be done without asking anybody.

Without it the same tests run against asyncssh's server, and this says so. No server is started, and nothing else is
changed: tests start their own, on loopback.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

PATHS = f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin"
TRIED = Path(__file__).resolve().parent.parent / ".venv" / "no-sshd"
MAX_S = 180
ENVIRONMENT = {"DEBIAN_FRONTEND": "noninteractive", "RUNLEVEL": "1"}  # in runlevel 1 packages start no services
APT = ["apt-get", "install", "--yes", "--quiet", "--no-install-recommends", "openssh-server"]


def main() -> None:
    """Install it unless it is there; never fail."""
    if shutil.which("sshd", path=PATHS) or TRIED.exists():
        return
    command = root_command()
    if command is None:
        give_up("that takes root and apt-get")
        return
    print("Installing openssh-server …", flush=True)
    if not (run([*command, *APT]) or (run([*command, "apt-get", "update", "--quiet"]) and run([*command, *APT]))):
        give_up("apt-get could not install it")


def root_command() -> list[str] | None:
    """Tell how apt-get is run as root; None where it cannot be, at least not without a password."""
    if shutil.which("apt-get") is None:
        return None
    if os.geteuid() == 0:
        return ["env", *(f"{name}={value}" for name, value in ENVIRONMENT.items())]
    if shutil.which("sudo") and run(["sudo", "--non-interactive", "true"]):
        return ["sudo", "--non-interactive", "env", *(f"{name}={value}" for name, value in ENVIRONMENT.items())]
    return None


def run(command: list[str]) -> bool:
    """Run a command; whether it went well."""
    try:
        done = subprocess.run(command, capture_output=True, check=False, timeout=MAX_S)
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0


def give_up(why: str) -> None:
    """Say that it is not there, once."""
    print(
        f"openssh-server is not installed ({why}): tests of SSH run against asyncssh's server instead.\n"
        f"  → install the package openssh-server to run them against OpenSSH's",
        file=sys.stderr,
    )
    TRIED.parent.mkdir(exist_ok=True)
    TRIED.touch()


if __name__ == "__main__":
    main()
