"""Name the folders that a service is installed from: its own, and every member of the workspace that it needs.

Usage: python tools/members.py SERVICE…, or `all`. Prints a line for each folder, with its extras. Needs only Python.
"""

import re
import sys
import tomllib
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
ALWAYS = ("shoal-operations",)
"""What every image has beside its service."""
_REQUIREMENT = re.compile(r"([A-Za-z0-9-]+)(?:\[([^\]]*)\])?")


def main() -> None:
    """Print the folders."""
    members = {project(folder)["name"]: folder for folder in folders()}
    asked = [name for name in sys.argv[1:] if name != "all"]
    if "all" in sys.argv[1:]:
        asked = [folder.name for folder in members.values() if is_service(folder)]
    wanted: dict[str, set[str]] = {}
    for name in [*(f"shoal-{name}" if f"shoal-{name}" in members else name for name in asked), *ALWAYS]:
        if name not in members:
            sys.exit(f"shoal: no member is called {name}: {', '.join(sorted(members))}")
        need(name, set(), members, wanted)
    for name, extras in wanted.items():
        written = f"[{','.join(sorted(extras))}]" if extras else ""
        print(f"./{members[name].relative_to(ROOT)}{written}")


def folders() -> list[Path]:
    """List the folders of all members."""
    found = [*ROOT.glob("libs/*"), ROOT / "proto-schemas" / "python", ROOT / "gateway", *ROOT.glob("services/*")]
    return sorted(folder for folder in found if (folder / "pyproject.toml").exists())


def is_service(folder: Path) -> bool:
    """Tell whether a member is a service."""
    return "shoal.services" in project(folder).get("entry-points", {})


def need(name: str, extras: set[str], members: dict[str, Path], wanted: dict[str, set[str]]) -> None:
    """Note a member and all members that it needs in turn."""
    seen = wanted.get(name)
    wanted[name] = (seen or set()) | extras
    if seen is not None and extras <= seen:
        return
    about = project(members[name])
    optional = about.get("optional-dependencies", {})
    for requirement in [*about["dependencies"], *(one for extra in extras for one in optional[extra])]:
        found = _REQUIREMENT.match(requirement)
        if found and found[1] in members:
            need(found[1], set(filter(None, (found[2] or "").split(","))), members, wanted)


def project(folder: Path) -> dict[str, Any]:
    """Read what a member says of itself."""
    about = tomllib.loads((folder / "pyproject.toml").read_text())["project"]
    return dict(about)


if __name__ == "__main__":
    main()
