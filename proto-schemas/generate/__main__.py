"""`python -m generate` writes what is derived from the contracts; `--check` fails if that would change it."""

import argparse
import sys
from collections.abc import Iterator
from difflib import unified_diff
from pathlib import Path

from generate import asyncapi, contracts, prose, rules, structs
from generate.tools import ToolFailedError, run

FOLDER = Path(__file__).resolve().parents[1]
ROOT = FOLDER.parent
PYTHON = FOLDER / "python/src/shoal_events"
DESCRIPTORS = ("build", "--as-file-descriptor-set", "--exclude-source-info", "-o", "-#format=binpb")


def render(files: tuple[contracts.File, ...]) -> dict[Path, bytes]:
    """Return the content of every derived file."""
    texts = {
        **{PYTHON / path: text for path, text in structs.render(files).items()},
        FOLDER / "asyncapi.yaml": asyncapi.render(files, (FOLDER / "frames.yaml").read_text()),
        ROOT / "docs/events.md": prose.render(files),
    }
    descriptors = {FOLDER / "shoal-events.binpb": run("buf", *DESCRIPTORS, folder=FOLDER)}
    return {path: text.encode() for path, text in texts.items()} | descriptors


def stale(derived: dict[Path, bytes]) -> list[Path]:
    """Return the modules whose `.proto` file is gone."""
    return sorted(set(PYTHON.glob("v*/*.py")) - derived.keys())


def differences(derived: dict[Path, bytes]) -> Iterator[str]:
    """Compare what is derived with what is there, as unified diffs."""
    yield from (f"{path.relative_to(ROOT)}: nothing is the source of this file\n" for path in stale(derived))
    for path, content in derived.items():
        name = str(path.relative_to(ROOT))
        there = path.read_bytes() if path.exists() else b""
        if there != content and path.suffix == ".binpb":
            yield f"{name}: differs\n"
        elif there != content:
            before, after = (text.decode().splitlines(keepends=True) for text in (there, content))
            yield from unified_diff(before, after, name, f"{name} (as generated)")


def main() -> int:
    """Return 0 if all is well, 1 if a rule is broken or something differs."""
    parser = argparse.ArgumentParser(prog="python -m generate", description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; print what would change")
    is_check = parser.parse_args().check
    try:
        files = contracts.read(FOLDER)
        broken = list(rules.violations(files))
        derived = {} if broken else render(files)
    except ToolFailedError as error:
        broken = [str(error)]
    if broken:
        sys.stderr.writelines(f"{what}\n" for what in broken)
        return 1
    if is_check:
        found = list(differences(derived))
        sys.stderr.writelines([*found, "\nThe contracts changed: run `make contracts`.\n"] if found else [])
        return bool(found)
    for path in stale(derived):
        path.unlink()
    for path, content in derived.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return 0


if __name__ == "__main__":
    sys.exit(main())
