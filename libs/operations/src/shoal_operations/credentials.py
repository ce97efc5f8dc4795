"""Everything that the parts of an installation sign in and sign with, as folders of files.

    DIR/<service>/   database-url nats-url identity-key encryption-key
    DIR/shared/      identity-keys
    DIR/admin/       database-url database-password
    DIR/nats/        accounts.conf, and <user>-url of admin, consumer and copier

A folder is what a Secret of the chart holds, and what a container mounts; a variable `…_FILE` names a file. What is
there stays: running it again changes nothing but addresses, and what it is told to renew.
"""

import base64
import os
import secrets
from collections.abc import Sequence
from importlib import resources
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote, urlsplit, urlunsplit

import msgspec

from shoal.installation import Credentials, Installation, as_role

USERS: Final = ("admin", "consumer", "copier")
"""Users of NATS that are no service."""
SUPERUSER: Final = "postgres-superuser"
KEY_BYTES: Final = 32


def nats_accounts() -> dict[str, Any]:
    """Read who may say and hear what on NATS; where a password goes stands `@<user>@`."""
    text = resources.files("shoal_operations").joinpath("nats-accounts.json").read_bytes()
    accounts: dict[str, Any] = msgspec.json.decode(text)
    return accounts


def service_names() -> list[str]:
    """List every service, installed here or not."""
    users = nats_accounts()["SHOAL"]["users"]
    return [user["user"] for user in users if user["user"] not in USERS]


def write_credentials(folder: Path, *, database_url: str, nats_url: str, renew: Sequence[str] = ()) -> None:
    """Make what is missing and write every file.

    Args:
        folder: Made with mode 0700; also keeps `installation.json`, of which everything else is made.
        database_url: PostgreSQL as the role that migrates; without a password, one is made.
        nats_url: NATS, without credentials.
        renew: Services whose passwords and identity key are drawn anew. What seals stays: nothing would open any more.

    Raises:
        KeyError: There is no such service.
    """
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    file = folder / "installation.json"
    made = Installation.open(file, service_names(), passwords=(*USERS, SUPERUSER))
    for name in renew:
        if name not in made.services:
            raise KeyError(name)
        made.services[name] = Credentials.make()
    made.save(file)
    parts = urlsplit(database_url)
    password = parts.password or made.passwords[SUPERUSER]
    admin_url = as_role(database_url, parts.username or "shoal", password)
    users = {name: one.nats_password for name, one in made.services.items()}
    users |= {name: made.passwords[name] for name in USERS}
    told = made.environment(
        admin_url=admin_url, nats_url=lambda name: as_user(nats_url, name, users[name]), addresses={}
    )
    for name in made.services:
        prefix = name.replace("-", "_").upper()
        for key in ("database-url", "nats-url", "identity-key"):
            _write(folder / name / key, told[f"{prefix}_{key.replace('-', '_').upper()}"])
        if not (folder / name / "encryption-key").exists():
            _write(folder / name / "encryption-key", f"k1:{_random()}")
    _write(folder / "shared" / "identity-keys", told["SHOAL_IDENTITY_KEYS"])
    _write(folder / "admin" / "database-url", admin_url)
    _write(folder / "admin" / "database-password", password)
    _write(folder / "nats" / "accounts.conf", f"accounts: {_with_passwords(users)}")
    for name in USERS:
        _write(folder / "nats" / f"{name}-url", as_user(nats_url, name, users[name]))


def _with_passwords(users: dict[str, str]) -> str:
    accounts = nats_accounts()
    for account in accounts.values():
        for user in account["users"]:
            user["password"] = users[user["user"]]
    return msgspec.json.format(msgspec.json.encode(accounts), indent=2).decode()


def as_user(url: str, name: str, password: str) -> str:
    """Put a user and a password into an address, in the place of whoever stands there."""
    parts = urlsplit(url)
    place = parts.netloc.rpartition("@")[2]
    return urlunsplit(parts._replace(netloc=f"{quote(name, safe='')}:{quote(password, safe='')}@{place}"))


def _random() -> str:
    return base64.b64encode(secrets.token_bytes(KEY_BYTES)).decode()


def _write(path: Path, text: str) -> None:
    """Write a file in one step, readable by its owner only."""
    path.parent.mkdir(exist_ok=True, mode=0o700)
    fresh = path.with_suffix(".new")
    fresh.unlink(missing_ok=True)
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
        file.write(text)
    fresh.replace(path)
