"""Decisions about skills, each with its transaction."""

from collections.abc import Sequence

from agent_runtime import quotas
from agent_runtime.ports import ActiveSkill
from agent_runtime.skills.clients.registry import Registry
from agent_runtime.skills.clients.shipped import ShippedPackages
from agent_runtime.skills.domain.packages import Package
from agent_runtime.skills.domain.registries import BUILTIN, InstalledSkill, Offer, ranked
from agent_runtime.skills.errors import PackageNotFoundError, SkillNotFoundError, TooManySkillsError
from agent_runtime.skills.repositories import SkillRepository
from shoal.database import Database, Transaction

MAX_SKILLS = 200
BEGINNERS = ("code-review", "summarize")
"""The shipped skills that every account begins with."""


class Skills:
    """Find, install, switch and uninstall skills."""

    def __init__(self, *, database: Database, shipped: ShippedPackages, registry: Registry | None) -> None:
        self._database = database
        self._shipped = shipped
        self._registry = registry

    async def list_for(self, account_id: str) -> list[InstalledSkill]:
        """List an account's skills by name; at the first time it is given those that everybody begins with."""
        await self._begin(account_id)
        async with self._database.reading() as database:
            return await SkillRepository(database).list_of(account_id)

    async def get(self, account_id: str, name: str) -> InstalledSkill:
        """Read one of an account's skills.

        Raises:
            SkillNotFoundError: It has none of this name.
        """
        await self._begin(account_id)
        async with self._database.reading() as database:
            found = await SkillRepository(database).list_of(account_id, [name])
        if not found:
            raise SkillNotFoundError
        return found[0]

    async def search(self, asked: str) -> list[Offer]:
        """List what can be installed: the best match first; everything for an empty text."""
        elsewhere = await self._registry.search(asked) if self._registry is not None else []
        return ranked([*self._shipped.offers(), *elsewhere], asked)

    async def install(self, account_id: str, package_id: str) -> None:
        """Install a package, in place of a skill of its name.

        Raises:
            PackageNotFoundError: No registry has it.
            InvalidPackageError, UnsignedPackageError, RegistryUnavailableError: As `Registry.fetch`.
            TooManySkillsError: The account has as many as it may.
        """
        package = await self._fetch(package_id)
        await self._begin(account_id)
        async with self._database.transaction() as tx:
            repository = SkillRepository(tx)
            await quotas.hold(tx, account_id, "skill")
            await repository.put(account_id, package, package_id)
            if await repository.count(account_id) > MAX_SKILLS:
                raise TooManySkillsError

    async def enable(self, account_id: str, name: str, *, is_enabled: bool) -> InstalledSkill:
        """Switch a skill on or off.

        Raises:
            SkillNotFoundError: The account has none of this name.
        """
        await self._begin(account_id)
        async with self._database.transaction() as tx:
            repository = SkillRepository(tx)
            if not await repository.enable(account_id, name, is_enabled=is_enabled):
                raise SkillNotFoundError
            return (await repository.list_of(account_id, [name]))[0]

    async def uninstall(self, account_id: str, name: str) -> None:
        """Uninstall a skill.

        Raises:
            SkillNotFoundError: The account has none of this name.
        """
        await self._begin(account_id)
        async with self._database.transaction() as tx:
            if not await SkillRepository(tx).delete(account_id, name):
                raise SkillNotFoundError

    async def erase(self, tx: Transaction, account_id: str) -> None:
        """Erase the skills of an account that is no more."""
        await SkillRepository(tx).erase(account_id)

    # what other subjects may ask

    async def active(self, account_id: str, names: Sequence[str]) -> Sequence[ActiveSkill]:
        """Read those of these skills that are installed and enabled, in this order."""
        if not names:
            return []
        await self._begin(account_id)
        async with self._database.reading() as database:
            listed = await SkillRepository(database).list_of(account_id, names)
        enabled = {skill.name: skill for skill in listed if skill.is_enabled}
        return [_active(enabled[name]) for name in dict.fromkeys(names) if name in enabled]

    async def _begin(self, account_id: str) -> None:
        async with self._database.reading() as database:
            if await SkillRepository(database).has_begun(account_id):
                return
        async with self._database.transaction() as tx:
            repository = SkillRepository(tx)
            if not await repository.begin(account_id):
                return
            for name in BEGINNERS:
                package = self._shipped.find(f"{BUILTIN}{name}")
                if package is not None:
                    await repository.put(account_id, package, f"{BUILTIN}{name}")

    async def _fetch(self, package_id: str) -> Package:
        shipped = self._shipped.find(package_id)
        if shipped is not None:
            return shipped
        if self._registry is None or package_id.startswith(BUILTIN):
            raise PackageNotFoundError
        return await self._registry.fetch(package_id)


def _active(skill: InstalledSkill) -> ActiveSkill:
    tools = None if skill.allowed_tools is None else tuple(skill.allowed_tools)
    return ActiveSkill(name=skill.name, instructions=skill.instructions, allowed_tools=tools)
