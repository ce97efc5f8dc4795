"""Passwords: Argon2id in threads, few at a time."""

import asyncio
from collections.abc import Callable
from typing import TypeVar

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from msgspec import Struct

from gateway.errors import PasswordRefusedError, TooManySignInsError

T = TypeVar("T")

MAX_BYTES = 1024
MEMORY_KIB, PASSES, LANES = 19_456, 2, 1
"""OWASP's minimum: 19 MiB, two passes, one lane."""


class Verdict(Struct, frozen=True):
    """Whether a password is right, and whether its hash is older than our present parameters."""

    is_right: bool
    wants_rehash: bool = False


def check_length(password: str, *, at_least: int) -> None:
    """Refuse a new password by its length alone.

    Raises:
        PasswordRefusedError: It is too short or too long; says which.
    """
    if len(password) < at_least:
        raise PasswordRefusedError(f"A password has at least {at_least} characters.")
    if len(_bytes(password)) > MAX_BYTES:
        raise PasswordRefusedError(f"A password has at most {MAX_BYTES} bytes.")


class Passwords:
    """Hashes and verifies, `at_once` at a time: each takes 19 MiB and a core for some 30 ms."""

    def __init__(self, *, min_length: int, at_once: int = 2, max_waiting: int = 64) -> None:
        self._hasher = PasswordHasher(time_cost=PASSES, memory_cost=MEMORY_KIB, parallelism=LANES)
        self._min_length = min_length
        self._turns = asyncio.Semaphore(at_once)
        self._waiting = 0
        self._max_waiting = max_waiting
        self._decoy: str | None = None

    async def hash(self, password: str) -> str:
        """Hash a new password.

        Raises:
            PasswordRefusedError: It is too short or too long.
            TooManySignInsError: Too many wait for their turn.
        """
        check_length(password, at_least=self._min_length)
        return await self._in_turn(lambda: self._hasher.hash(_bytes(password)))

    async def verify(self, known: str | None, password: str) -> Verdict:
        """Compare a password with a hash; None takes as long as a wrong password does.

        Raises:
            TooManySignInsError: Too many wait for their turn.
        """
        if len(_bytes(password)) > MAX_BYTES:
            return Verdict(is_right=False)
        return await self._in_turn(lambda: self._verify(known, password))

    def _verify(self, known: str | None, password: str) -> Verdict:
        if known is None and self._decoy is None:
            self._decoy = self._hasher.hash(b"nobody's")
        against = known or self._decoy or ""
        try:
            self._hasher.verify(against, _bytes(password))
        except (VerificationError, InvalidHashError):
            return Verdict(is_right=False)
        return Verdict(is_right=known is not None, wants_rehash=self._hasher.check_needs_rehash(against))

    async def _in_turn(self, work: Callable[[], T]) -> T:
        if self._waiting >= self._max_waiting:
            raise TooManySignInsError(retry_after_s=1)
        self._waiting += 1
        try:
            async with self._turns:
                return await asyncio.to_thread(work)
        finally:
            self._waiting -= 1


def _bytes(password: str) -> bytes:
    return password.encode("utf-8", "surrogatepass")
