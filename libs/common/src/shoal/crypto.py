"""Secrets at rest: AES-256-GCM envelopes bound to the row and column they stand in.

Each value has a data key of its own, wrapped by a key-encryption key that lives outside the database. The additional
data names schema, table, row and column, so a ciphertext moved to another place does not open (NIST SP 800-38D).
Layout: version (1 byte), key id length and key id, wrap nonce (12), wrapped data key (48), nonce (12), ciphertext +
tag.
"""

import os
from collections.abc import Mapping

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

_VERSION = 1
_NONCE = 12
_WRAPPED = 48
_KEY = 32
_MAX_KEY_ID = 255


class EnvelopeError(Exception):
    """A secret does not open: moved, changed, or sealed under a key that is not here."""


class Envelope:
    """Seals and opens secrets.

    Args:
        keys: Key-encryption keys by id, 32 bytes each; all of them open.
        current: The id of the one that seals.

    Raises:
        EnvelopeError: The current key is missing, or a key is not 32 bytes, or an id is longer than 255.
    """

    def __init__(self, keys: Mapping[str, bytes], *, current: str) -> None:
        if current not in keys:
            raise EnvelopeError(f"no key-encryption key {current!r}")
        for key_id, key in keys.items():
            if len(key) != _KEY or len(key_id.encode()) > _MAX_KEY_ID:
                raise EnvelopeError(f"key-encryption key {key_id!r} is not {_KEY} bytes, or its id is too long")
        self._keys = {key_id: AESGCM(key) for key_id, key in keys.items()}
        self._current = current

    @property
    def current(self) -> str:
        """The id of the key that seals."""
        return self._current

    @property
    def head(self) -> bytes:
        """How everything begins that the current key sealed, and nothing else does."""
        key_id = self._current.encode()
        return bytes([_VERSION, len(key_id)]) + key_id

    def seal(self, secret: bytes, *, place: str) -> bytes:
        """Encrypt a secret for one place, such as `instance_orchestrator/setting/42/value`."""
        data_key = AESGCM.generate_key(256)
        wrap_nonce, nonce, bound = os.urandom(_NONCE), os.urandom(_NONCE), place.encode()
        wrapped = self._keys[self._current].encrypt(wrap_nonce, data_key, bound)
        return self.head + wrap_nonce + wrapped + nonce + AESGCM(data_key).encrypt(nonce, secret, bound)

    def open(self, sealed: bytes, *, place: str) -> bytes:
        """Decrypt a secret in its place.

        Raises:
            EnvelopeError: It does not open.
        """
        try:
            key, rest = self._keys[self.key_id(sealed)], sealed[2 + sealed[1] :]
            wrap_nonce, wrapped = rest[:_NONCE], rest[_NONCE : _NONCE + _WRAPPED]
            nonce, body = rest[_NONCE + _WRAPPED : 2 * _NONCE + _WRAPPED], rest[2 * _NONCE + _WRAPPED :]
            data_key = key.decrypt(wrap_nonce, wrapped, place.encode())
            return AESGCM(data_key).decrypt(nonce, body, place.encode())
        except (InvalidTag, KeyError, IndexError, ValueError) as error:
            raise EnvelopeError(f"the secret at {place} does not open") from error

    def key_id(self, sealed: bytes) -> str:
        """Tell which key-encryption key sealed a secret; those of older keys want sealing anew.

        Raises:
            EnvelopeError: This is no envelope.
        """
        if len(sealed) < 2 or sealed[0] != _VERSION:  # noqa: PLR2004 - version and length
            raise EnvelopeError("not an envelope")
        return sealed[2 : 2 + sealed[1]].decode(errors="replace")
