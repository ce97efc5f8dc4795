"""SSH keys: those by which instances prove themselves, and those by which ssh-manager signs in to them."""

import re

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from instance_orchestrator.domain.plans import HostKey

_PUBLIC_KEY = re.compile(r"ssh-ed25519 [A-Za-z0-9+/]{40,100}={0,2}(?: [\w@.:-]{0,64})?", re.ASCII)


class InvalidPublicKeyError(ValueError):
    """A line is not one Ed25519 key with at most a plain comment, and so could do more than let somebody in."""


def new_host_key() -> HostKey:
    """Make an Ed25519 host key in OpenSSH's formats."""
    key = Ed25519PrivateKey.generate()
    private = key.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption())
    public = key.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH)
    return HostKey(private.decode(), public.decode())


def check_public_key(line: str) -> None:
    """Check that a line can stand in a file of authorized keys and do nothing but let its owner in.

    Raises:
        InvalidPublicKeyError: It could do more, or is no key.
    """
    if not _PUBLIC_KEY.fullmatch(line):
        raise InvalidPublicKeyError(f"{line[:20]!r}… is no plain Ed25519 key")
