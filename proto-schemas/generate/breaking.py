"""`python -m generate.breaking`: no published message may change in a way that breaks who reads it.

Compares with the newest tag, else with what is merged into origin's main, else with the last other version of
the contracts in the history. Without an earlier version there is nothing to break.
"""

import io
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from tempfile import TemporaryDirectory

from generate import contracts
from generate.tools import ToolFailedError, run

FOLDER = Path(__file__).resolve().parents[1]


def earlier_version(folder: Path) -> str | None:
    """Return the commit to compare a folder of contracts with, or None if there is none."""

    def git(*arguments: str) -> list[str]:
        try:
            return run("git", *arguments, folder=folder).decode().splitlines()
        except ToolFailedError:
            return []

    def has_contracts(commit: str) -> bool:
        return bool(git("cat-file", "-t", f"{commit}:./buf.yaml"))

    head = git("rev-parse", "HEAD")
    tags = git("tag", "--merged", "HEAD", "--sort=-creatordate")
    merged = [commit for commit in git("merge-base", "HEAD", "origin/main") if commit not in head]
    is_changed = bool(git("status", "--porcelain", "--", "shoal"))
    history = git("log", "-2", "--format=%H", "--", "shoal")[0 if is_changed else 1 :]
    return next((commit for commit in (*tags, *merged, *history) if has_contracts(commit)), None)


def changes(before: tuple[contracts.File, ...], after: tuple[contracts.File, ...]) -> Iterator[str]:
    """Say what breaks readers although `buf breaking` allows it: new duties, and new addresses."""
    messages = {(file.version, message.name): message for file in after for message in file.messages}
    for file in before:
        for old in file.messages:
            new = messages.get((file.version, old.name))
            if new is None:
                continue
            were_required = {field.name for field in old.fields if field.is_required}
            for field in new.fields:
                if field.is_required != (field.name in were_required):
                    yield f"{old.name}.{field.name}: is required now, or no longer, or is new and required"
            if new.address != old.address:
                yield f"{old.name}: its options changed, and with them its subject, stream or producer"


def breaks(folder: Path, commit: str) -> list[str]:
    """Return what a folder's contracts break of those of a commit."""
    with TemporaryDirectory() as directory:
        before = Path(directory)
        archive = run("git", "archive", "--format=tar", commit, folder=folder)
        with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
            for member in tar.getmembers():
                if PurePosixPath(member.name).suffix == ".proto" or member.name == "buf.yaml":
                    tar.extract(member, before)  # our own archive, of our own commit
        try:
            run("buf", "breaking", "--against", str(before), folder=folder)
        except ToolFailedError as error:
            return str(error).splitlines()
        return list(changes(contracts.read(before), contracts.read(folder)))


def main() -> int:
    """Return 0 if nothing breaks, 1 otherwise."""
    commit = earlier_version(FOLDER)
    if commit is None:
        sys.stdout.write("No earlier version of the contracts in git: nothing to compare with.\n")
        return 0
    found = breaks(FOLDER, commit)
    sys.stdout.write(f"Compared with {commit[:12]}: {len(found) or 'no'} breaking change{'s' * (len(found) != 1)}.\n")
    sys.stderr.writelines(f"{what}\n" for what in found)
    return bool(found)


if __name__ == "__main__":
    sys.exit(main())
