"""Proof that the key which seals secrets is the one that sealed those which are there."""

from instance_orchestrator.repositories.keys import KeyRepository
from shoal.crypto import Envelope
from shoal.database import Database


class KeyProof:
    """Try the key on what was sealed first."""

    def __init__(self, *, database: Database, envelope: Envelope) -> None:
        self._database = database
        self._envelope = envelope

    async def give(self) -> None:
        """Prove that the key is the right one; the first one to ask decides which that is.

        Raises:
            EnvelopeError: It is another one.
        """
        async with self._database.transaction() as tx:
            await KeyRepository(tx, self._envelope).is_right()
