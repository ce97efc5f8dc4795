"""Everything that was ever said, for copies that begin now."""

from instance_orchestrator.domain.instances import Desired, Instance, Phase
from instance_orchestrator.repositories.assignments import AssignmentRepository
from instance_orchestrator.repositories.instances import InstanceRepository
from instance_orchestrator.repositories.keys import KeyRepository
from instance_orchestrator.usecases import facts
from shoal.copies import ExportedFact, exported
from shoal.crypto import Envelope
from shoal.database import Database, Transaction
from shoal.http.pagination import Page

ASSIGNMENTS = "assignments:"
"""Begins the cursors of the second part: instances first, in the order of ids, then assignments by user."""


class Exports:
    """Tell rows as facts, page by page."""

    def __init__(self, *, database: Database, envelope: Envelope) -> None:
        self._database = database
        self._envelope = envelope

    async def page(self, after: str, limit: int) -> Page[ExportedFact]:
        """Read a page; a page of instances holds up to two facts for each."""
        async with self._database.reading() as database:
            if after.startswith(ASSIGNMENTS):
                return await self._assignments(database, after.removeprefix(ASSIGNMENTS), limit)
            return await self._instances(database, int(after) if after.isdigit() else 0, limit)

    async def _instances(self, database: Transaction, after: int, limit: int) -> Page[ExportedFact]:
        found = await InstanceRepository(database).page(after, limit)
        items = [fact for instance in found for fact in await self._facts(database, instance)]
        return Page(items, next=str(found[-1].id) if len(found) == limit else ASSIGNMENTS)

    async def _facts(self, database: Transaction, instance: Instance) -> list[ExportedFact]:
        if instance.desired is Desired.DELETED:
            return [exported(facts.deleted(instance))]
        told = [exported(facts.created(instance))]
        if instance.phase is Phase.RUNNING:
            public_key = await KeyRepository(database, self._envelope).host_public_key(instance.id)
            return [*told, exported(facts.running(instance, public_key))]
        return [*told, exported(facts.stopped(instance))] if instance.version > 1 else told

    async def _assignments(self, database: Transaction, after: str, limit: int) -> Page[ExportedFact]:
        found = await AssignmentRepository(database).page(after, limit)
        items = [exported(facts.assigned(assignment)) for assignment in found]
        return Page(items, next=ASSIGNMENTS + found[-1].user_id if len(found) == limit else None)
