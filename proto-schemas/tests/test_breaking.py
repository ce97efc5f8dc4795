"""What breaks a reader is found, and what does not is allowed; against a real repository."""

import shutil
import subprocess
from pathlib import Path

import pytest
from generate.breaking import breaks, earlier_version

FOLDER = Path(__file__).resolve().parents[1]
PAIRING = "shoal/events/v1/pairing.proto"


def git(repository: Path, *arguments: str) -> str:
    identity = ("-c", "user.name=t", "-c", "user.email=t@localhost", "-c", "commit.gpgsign=false")
    command = ["git", *identity, *arguments]
    return subprocess.run(command, cwd=repository, check=True, capture_output=True, text=True).stdout.strip()


def edit(folder: Path, before: str, after: str) -> None:
    text = (folder / PAIRING).read_text()
    assert before in text
    (folder / PAIRING).write_text(text.replace(before, after))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The contracts, committed once, as a folder of a repository."""
    folder = tmp_path / "proto-schemas"
    shutil.copytree(FOLDER / "shoal", folder / "shoal")
    shutil.copy(FOLDER / "buf.yaml", folder)
    git(tmp_path, "init", "-q", "-b", "main")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-q", "-m", "first")
    return folder


NEW_FIELD = "optional string handle = 6;\n  // Where it lives.\n  "


@pytest.mark.parametrize(
    ("before", "after", "complaint"),
    [
        ("optional string handle = 6;", "", "handle"),
        ("optional string handle = 6;", "optional string nick = 6;", "nick"),
        ("optional string handle = 6;", "optional uint32 handle = 6;", "uint32"),
        ("optional string handle = 6;", "repeated string handle = 6;", "repeated"),
        ("optional string handle = 6;", f"{NEW_FIELD}string home = 10 [(required) = true];", "home"),
        ('fact: "pairing.renamed"', 'fact: "pairing.retitled"', "options changed"),
        ("message PairingRenamed", "message PairingRetitled", "PairingRenamed"),
    ],
)
def test_breaking_change_is_found(folder: Path, before: str, after: str, complaint: str) -> None:
    edit(folder, before, after)
    commit = earlier_version(folder)
    assert commit
    assert complaint in " ".join(breaks(folder, commit))


def test_new_optional_field_and_new_file_break_nothing(folder: Path) -> None:
    edit(folder, "optional string handle = 6;", f"{NEW_FIELD}string home = 10;")
    shutil.copy(folder / PAIRING, folder / "shoal/events/v1/berth.proto")
    berth = folder / "shoal/events/v1/berth.proto"
    berth.write_text(berth.read_text().replace("pairing", "berth").replace("Pairing", "Berth"))
    assert breaks(folder, git(folder, "rev-parse", "HEAD")) == []


def test_baseline_is_the_previous_version_of_the_contracts(folder: Path) -> None:
    first = git(folder, "rev-parse", "HEAD")
    assert earlier_version(folder) is None, "the only version there is"
    edit(folder, "// The new name;", "// Its new name;")
    assert earlier_version(folder) == first, "not committed yet"
    git(folder, "commit", "-q", "-a", "-m", "second")
    assert earlier_version(folder) == first, "committed"
    (folder.parent / "README.md").write_text("Something else.")
    git(folder.parent, "add", ".")
    git(folder, "commit", "-q", "-a", "-m", "third")
    assert earlier_version(folder) == first, "followed by other work"


def test_baseline_is_what_origin_has_or_the_newest_tag(folder: Path, tmp_path: Path) -> None:
    first = git(folder, "rev-parse", "HEAD")
    git(folder, "update-ref", "refs/remotes/origin/main", first)
    for wording in ("Its new name;", "Another name;"):
        text = (folder / PAIRING).read_text()
        (folder / PAIRING).write_text(text.replace("The new name;", wording).replace("Its new name;", wording))
        git(folder, "commit", "-q", "-a", "-m", wording)
    assert earlier_version(folder) == first
    git(folder, "tag", "v1", "HEAD~1")
    assert earlier_version(folder) == "v1"


def test_without_a_repository_there_is_no_baseline(folder: Path) -> None:
    shutil.rmtree(folder.parent / ".git")
    assert earlier_version(folder) is None
