"""The keys that seal a service's secrets: as an operator writes them, or kept beside the installation's other files."""

import asyncio
import base64
import binascii
import os
import secrets
from collections.abc import Awaitable, Callable
from pathlib import Path

import structlog

from shoal.config import ConfigError, Secret
from shoal.crypto import Envelope, EnvelopeError
from shoal.database import Database, DatabaseUnavailableError

AGAIN_S = 1.0
_BYTES = 32
_CANARY = b"these words open with the right key"


class KeyProof:
    """Tries a service's key on what was sealed first, the one row of its table `key_check`.

    Args:
        database: Where that is.
        envelope: The service's.
        place: What the row is sealed for, such as `toy/key_check/sealed`.
    """

    def __init__(self, database: Database, envelope: Envelope, *, place: str) -> None:
        self._database = database
        self._envelope = envelope
        self._place = place

    async def give(self) -> None:
        """Prove that the key is the right one; the first one to ask decides which that is.

        Raises:
            EnvelopeError: It is another one.
        """
        sealed = self._envelope.seal(_CANARY, place=self._place)
        async with self._database.transaction() as tx:
            await tx.execute("insert into key_check (sealed) values ($1) on conflict do nothing", sealed)
            self._envelope.open(await tx.value("select sealed from key_check"), place=self._place)


class KeyCheck:
    """Keeps a service from being ready until its key has opened what it once sealed.

    Args:
        prove: Opens something; raises `EnvelopeError` when the key is another one.
        variable: What the setting is called.
    """

    name = "encryption key"

    def __init__(self, prove: Callable[[], Awaitable[object]], *, variable: str) -> None:
        self._prove = prove
        self._variable = variable
        self._problem: str | None = "the key has not been checked yet"

    def problem(self) -> str | None:
        """Say that secrets cannot be opened, or None."""
        return self._problem

    async def run(self) -> None:
        """Ask for the proof until it is given, then stand by."""
        while self._problem is not None:
            try:
                await self._prove()
                self._problem = None
            except EnvelopeError:
                self._problem = f"{self._variable} is not the key that sealed what is stored"
                structlog.get_logger().error("encryption_key_wrong")
            except DatabaseUnavailableError as error:
                structlog.get_logger().info("encryption_key_waits", reason=str(error))
            await asyncio.sleep(AGAIN_S if self._problem else 0)
        await asyncio.Event().wait()


def envelope_of(given: Secret | None, *, variable: str, kept_in: Path | None) -> Envelope:
    """Make a service's envelope.

    Args:
        given: Keys written as `<id>:<32 bytes in base64>`, separated by commas, the current one first.
        variable: What the setting is called, for errors.
        kept_in: The file whose key is used where none is given; it is made at the first time, mode 0600. Without a
            file a key must be given.

    Raises:
        ConfigError: The keys are missing, or not written so, or the file can be neither read nor made.
    """
    if given is not None:
        text = given.reveal()
    elif kept_in is not None:
        text = kept_key(kept_in, variable=variable)
    else:
        raise ConfigError([f"{variable} is not set: <id>:<{_BYTES} bytes in base64>"])
    keys: dict[str, bytes] = {}
    for part in text.split(","):
        key_id, _, encoded = part.strip().partition(":")
        try:
            keys[key_id] = base64.b64decode(encoded, validate=True)
        except (binascii.Error, ValueError):
            keys[key_id] = b""
        if len(keys[key_id]) != _BYTES or not key_id:
            raise ConfigError([f"{variable}: write <id>:<32 bytes in base64>, several separated by commas"])
    return Envelope(keys, current=next(iter(keys)))


def kept_key(file: Path, *, variable: str) -> str:
    """Read the key that is kept in a file, making it at the first time.

    Raises:
        ConfigError: It cannot be read or made.
    """
    try:
        file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        try:
            with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as made:
                made.write(f"k1:{base64.b64encode(secrets.token_bytes(_BYTES)).decode()}")
        except FileExistsError:
            pass
        return file.read_text().strip()
    except OSError as error:
        raise ConfigError([f"{variable} is not set, and {error}"]) from error
