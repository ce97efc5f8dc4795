"""Keeping the service from being ready while its key is the wrong one."""

import asyncio

import structlog

from instance_orchestrator.usecases.key_proof import KeyProof
from shoal.crypto import EnvelopeError
from shoal.database import DatabaseUnavailableError

AGAIN_S = 1.0


class KeyCheck:
    """Asks for the proof until it is given."""

    name = "encryption key"

    def __init__(self, proof: KeyProof) -> None:
        self._proof = proof
        self._problem: str | None = "the key has not been checked yet"

    def problem(self) -> str | None:
        """Say that secrets cannot be opened, or None."""
        return self._problem

    async def run(self) -> None:
        """Check until it was checked, then stand by."""
        while self._problem is not None:
            try:
                await self._proof.give()
                self._problem = None
            except EnvelopeError:
                self._problem = "INSTANCE_ORCHESTRATOR_ENCRYPTION_KEY is not the key that sealed what is stored"
                structlog.get_logger().error("encryption_key_wrong")
            except DatabaseUnavailableError:
                pass
            await asyncio.sleep(AGAIN_S if self._problem else 0)
        await asyncio.Event().wait()
