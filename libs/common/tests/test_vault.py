"""The vault: one key per installation, kept where only its user reads it."""

import base64
from pathlib import Path

import pytest

from shoal.config import ConfigError, Secret
from shoal.vault import envelope_of

KEY = base64.b64encode(b"k" * 32).decode()


def test_a_key_is_made_once_and_only_its_user_may_read_it(tmp_path: Path) -> None:
    file = tmp_path / "state" / "toy.key"
    sealed = envelope_of(None, variable="TOY_KEY", kept_in=file).seal(b"secret", place="toy/a")
    assert envelope_of(None, variable="TOY_KEY", kept_in=file).open(sealed, place="toy/a") == b"secret"
    assert file.stat().st_mode & 0o777 == 0o600


def test_older_keys_open_and_the_first_one_seals(tmp_path: Path) -> None:
    file = tmp_path / "unused"
    old = envelope_of(Secret(f"old:{KEY}"), variable="TOY_KEY", kept_in=file)
    both = envelope_of(
        Secret(f"new:{base64.b64encode(b'n' * 32).decode()}, old:{KEY}"), variable="TOY_KEY", kept_in=file
    )
    assert both.open(old.seal(b"secret", place="toy/a"), place="toy/a") == b"secret"
    assert both.key_id(both.seal(b"secret", place="toy/a")) == "new"
    assert not file.exists()


@pytest.mark.parametrize("text", ["", "k1", "k1:", f":{KEY}", "k1:c2hvcnQ=", f"k1:{KEY},k2:x", "k1:not base64"])
def test_what_is_no_key_is_refused_without_being_repeated(text: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as refused:
        envelope_of(Secret(text), variable="TOY_KEY", kept_in=tmp_path / "unused")
    assert "TOY_KEY" in str(refused.value)
    assert not text or text not in str(refused.value)


def test_a_file_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match="TOY_KEY is not set"):
        envelope_of(None, variable="TOY_KEY", kept_in=tmp_path / "file" / "toy.key")
