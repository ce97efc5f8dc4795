"""What one installation hands to its services: passwords, identity keys, and where everybody is.

Made once and kept (mode 0600) by whoever starts the suite: `shoal up`, the tests. A cluster keeps the same values in
Secrets.
"""

import os
import secrets
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from urllib.parse import quote, urlsplit, urlunsplit

import msgspec
from msgspec import Struct

from shoal.identity import new_key_pair


class Credentials(Struct, frozen=True):
    """What one service signs in and signs with."""

    database_password: str
    nats_password: str
    private_key: str
    public_key: str

    @classmethod
    def make(cls) -> "Credentials":
        """Make new ones."""
        private, public = new_key_pair()
        return cls(secrets.token_hex(24), secrets.token_hex(24), private, public)

    def __repr__(self) -> str:
        return "Credentials(***)"


class Installation(Struct):
    """The credentials of every service, by its name, and further passwords by purpose."""

    services: dict[str, Credentials]
    passwords: dict[str, str]

    @classmethod
    def open(cls, path: Path, names: Sequence[str], *, passwords: Sequence[str] = ()) -> "Installation":
        """Read an installation from a file; makes and keeps what is missing."""
        found = path.read_bytes() if path.exists() else b""
        made = msgspec.json.decode(found, type=cls) if found else cls({}, {})
        for name in names:
            made.services.setdefault(name, Credentials.make())
        for purpose in passwords:
            made.passwords.setdefault(purpose, secrets.token_hex(24))
        if msgspec.json.encode(made) != found:
            made.save(path)
        return made

    def __repr__(self) -> str:
        return f"Installation(of {', '.join(self.services)})"

    def environment(
        self,
        *,
        admin_url: str,
        nats_url: Callable[[str], str],
        addresses: Mapping[str, str],
    ) -> dict[str, str]:
        """Write the variables by which every service finds its way.

        Args:
            admin_url: PostgreSQL as a role that may create roles and schemas.
            nats_url: From a service's name to NATS as that service's user.
            addresses: From a service's name to the `host:port` it listens on.
        """
        keys = {name: credentials.public_key for name, credentials in self.services.items()}
        environment = {
            "SHOAL_IDENTITY_KEYS": msgspec.json.encode(keys).decode(),
            "SHOAL_SERVICES": msgspec.json.encode(dict(addresses)).decode(),
        }
        for name, credentials in self.services.items():
            prefix = name.replace("-", "_").upper()
            environment |= {
                f"{prefix}_DATABASE_URL": as_role(admin_url, prefix.lower(), credentials.database_password),
                f"{prefix}_NATS_URL": nats_url(name),
                f"{prefix}_IDENTITY_KEY": credentials.private_key,
            }
            if name in addresses:
                environment[f"{prefix}_PORT"] = addresses[name].rpartition(":")[2]
        return environment

    def save(self, path: Path) -> None:
        """Write the file anew, in one step, readable by its owner only."""
        path.parent.mkdir(parents=True, exist_ok=True)
        fresh = path.with_suffix(".new")
        fresh.unlink(missing_ok=True)  # whatever a crash left behind may be readable by others
        with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
            file.write(msgspec.json.encode(self))
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(path)


def as_role(url: str, role: str, password: str) -> str:
    """Give the same database as another role."""
    parts = urlsplit(url)
    place = parts.netloc.rpartition("@")[2]
    return urlunsplit(parts._replace(netloc=f"{quote(role, safe='')}:{quote(password, safe='')}@{place}"))
