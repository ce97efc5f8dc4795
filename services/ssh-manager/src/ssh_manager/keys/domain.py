"""Keys, steps of a rotation, and what a file of authorized keys becomes."""

import base64
import binascii
import hashlib
from datetime import datetime
from enum import StrEnum
from itertools import pairwise

import asyncssh
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from msgspec import Struct

from ssh_manager.errors import PublicKeyUnreadableError

ALGORITHM = "ssh-ed25519"
MAX_FILE_BYTES = 1024 * 1024


class Role(StrEnum):
    """What a stored key is for: the current one signs in, a pending one will, a previous one may until its end."""

    PENDING = "pending"
    CURRENT = "current"
    PREVIOUS = "previous"


class Step(StrEnum):
    """How far a rotation is; what each one means is told where the table is made."""

    PREPARED = "prepared"
    APPENDED = "appended"
    VERIFIED = "verified"
    SWITCHED = "switched"
    ANNOUNCED = "announced"
    APPLIED = "applied"
    REMOVED = "removed"
    DONE = "done"
    ROLLING_BACK = "rolling_back"
    FAILED = "failed"

    @property
    def is_over(self) -> bool:
        """Whether nothing is left to be done."""
        return self in {Step.DONE, Step.FAILED}

    @property
    def is_settled(self) -> bool:
        """Whether it is known how the rotation ends, and all that it does is done."""
        return self.is_over or self is Step.ROLLING_BACK


class StoredKey(Struct, frozen=True, kw_only=True):
    """A row of `ssh_key`, without its private half."""

    instance_id: int
    version: int
    account_id: str
    role: Role
    public_key: str
    fingerprint: str
    is_applied: bool
    created_at: datetime


class KeyPair(Struct, frozen=True):
    """A new Ed25519 key pair in OpenSSH's formats."""

    private: bytes
    public_key: str
    fingerprint: str

    def __repr__(self) -> str:
        return f"KeyPair({self.fingerprint})"


class Rotation(Struct, frozen=True, kw_only=True):
    """The replacement of an instance's key from version `old_version` to `new_version`, and how far it is."""

    id: int
    instance_id: int
    old_version: int
    new_version: int
    step: Step
    username: str
    source_ip: str
    intent_id: int
    problem: str
    started_at: datetime
    updated_at: datetime


class Rotated(Struct, frozen=True):
    """What a rotation made: the fingerprint of the new key, and how far the rotation is."""

    fingerprint: str
    rotation: Rotation


class Fingerprint(Struct, frozen=True):
    """What an instance's public key hashes to, and whether that is what was stored with it."""

    text: str
    algorithm: str
    is_verified: bool


def new_key_pair(instance_id: int, version: int) -> KeyPair:
    """Make a key pair; its comment says whose it is."""
    key = Ed25519PrivateKey.generate()
    private = key.private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption())
    public = key.public_key().public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode()
    line = f"{public} shoal-{instance_id}-v{version}"
    return KeyPair(private, line, fingerprint_of(line))


def fingerprint_of(public_key: str) -> str:
    """Hash a public key as OpenSSH does: `SHA256:…`.

    Raises:
        PublicKeyUnreadableError: It is no public key.
    """
    try:
        blob = base64.b64decode(public_key.split()[1], validate=True)
    except (IndexError, binascii.Error) as error:
        raise PublicKeyUnreadableError from error
    return "SHA256:" + base64.b64encode(hashlib.sha256(blob).digest()).decode().rstrip("=")


def seen_fingerprint(key: StoredKey) -> Fingerprint:
    """Compute what a stored key hashes to.

    Raises:
        PublicKeyUnreadableError: It is no public key.
    """
    computed = fingerprint_of(key.public_key)
    return Fingerprint(computed, key.public_key.split()[0], is_verified=computed == key.fingerprint)


def belongs_together(key: StoredKey, private_key: asyncssh.SSHKey) -> bool:
    """Tell whether private half, public half and fingerprint are those of one key."""
    try:
        public = asyncssh.import_public_key(key.public_key)
    except asyncssh.KeyImportError:
        return False
    return public.public_data == private_key.public_data and fingerprint_of(key.public_key) == key.fingerprint


def with_key(content: bytes, public_key: str) -> bytes:
    """Return a file of authorized keys with a key; nothing changes if it is there."""
    lines = content.splitlines(keepends=True)
    if any(_is_of(line, public_key) for line in lines):
        return content
    return content + (b"" if not content or content.endswith(b"\n") else b"\n") + public_key.encode() + b"\n"


def without_key(content: bytes, public_key: str) -> bytes:
    """Return a file of authorized keys without a key; every other line stays as it is, byte for byte."""
    return b"".join(line for line in content.splitlines(keepends=True) if not _is_of(line, public_key))


def _is_of(line: bytes, public_key: str) -> bool:
    """Whether a line lets the owner of a key in, whatever its options and comment say."""
    algorithm, blob = public_key.split()[:2]
    words = line.split()
    if line.lstrip().startswith(b"#"):
        return False
    return any(pair == (algorithm.encode(), blob.encode()) for pair in pairwise(words))
