"""Write proto-schemas/openapi/<service>.json from the routes; `--check` fails on drift instead."""

import difflib
import sys
from pathlib import Path

from shoal.describe import describe
from shoal.service import installed

FOLDER = Path(__file__).resolve().parent.parent / "proto-schemas" / "openapi"


def main() -> None:
    """Render every installed service's document and write it or compare it."""
    drifted = False
    FOLDER.mkdir(exist_ok=True)
    for service in installed().values():
        file, rendered = FOLDER / f"{service.name}.json", describe(service).decode()
        if "--check" not in sys.argv:
            file.write_text(rendered)
            continue
        stored = file.read_text() if file.exists() else ""
        diff = list(
            difflib.unified_diff(stored.splitlines(), rendered.splitlines(), str(file), "rendered", lineterm="")
        )
        drifted = drifted or bool(diff)
        print("\n".join(diff[:80]), end="\n" if diff else "")
    if drifted:
        sys.exit("OpenAPI documents differ from the routes: run `make contracts` and look at the diff")


if __name__ == "__main__":
    main()
