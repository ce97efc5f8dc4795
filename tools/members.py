"""Name the folders that a service is installed from: its own, and every member of the workspace that it needs.

Usage: python tools/members.py SERVICE…, or `all`, or a member such as `agent[instance]`. Prints a line for each folder,
with its extras; with `--others` what they need beside each other, with `--builds` what builds them, a requirement a
line. Needs only Python.
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
    """Print the folders, or the requirements."""
    members = {project(folder)["name"]: folder for folder in folders()}
    services = [folder.name for folder in members.values() if is_service(folder)]
    asked = [one for one in sys.argv[1:] if not one.startswith("--")]
    wanted: dict[str, set[str]] = {}
    for one in [name for given in asked for name in (services if given == "all" else [given])]:
        name, extras = parted(one)
        need(f"shoal-{name}" if f"shoal-{name}" in members else name, extras, members, wanted)
        for always in ALWAYS if name in services else ():
            need(always, set(), members, wanted)
    if "--others" in sys.argv:
        needed = {one for name, extras in wanted.items() for one in requirements(members[name], extras)}
        print(*sorted(one for one in needed if parted(one)[0] not in members), sep="\n")
    elif "--builds" in sys.argv:
        print(*sorted({one for name in wanted for one in about(members[name])["build-system"]["requires"]}), sep="\n")
    else:
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
    if name not in members:
        sys.exit(f"shoal: no member is called {name}: {', '.join(sorted(members))}")
    seen = wanted.get(name)
    wanted[name] = (seen or set()) | extras
    if seen is not None and extras <= seen:
        return
    for requirement in requirements(members[name], extras):
        other, its_extras = parted(requirement)
        if other in members:
            need(other, its_extras, members, wanted)


def requirements(folder: Path, extras: set[str]) -> list[str]:
    """List what a member needs, with these extras."""
    said = project(folder)
    optional = said.get("optional-dependencies", {})
    return [*said["dependencies"], *(one for extra in sorted(extras) for one in optional[extra])]


def project(folder: Path) -> dict[str, Any]:
    """Read what a member says of itself."""
    return dict(about(folder)["project"])


def about(folder: Path) -> dict[str, Any]:
    """Read a member's pyproject.toml."""
    return tomllib.loads((folder / "pyproject.toml").read_text())


def parted(requirement: str) -> tuple[str, set[str]]:
    """Part a requirement into its name and its extras."""
    found = _REQUIREMENT.match(requirement)
    if found is None:
        sys.exit(f"shoal: {requirement!r} is no requirement")
    return found[1], set(filter(None, (found[2] or "").split(",")))


if __name__ == "__main__":
    main()
