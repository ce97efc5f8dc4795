"""SQL of skills, and nothing else."""

from collections.abc import Sequence

from agent_runtime.skills.domain.packages import Package
from agent_runtime.skills.domain.registries import InstalledSkill
from shoal.database import Transaction


class SkillRepository:
    """Rows of `skill`, and which accounts have begun."""

    def __init__(self, tx: Transaction) -> None:
        self._tx = tx

    async def begin(self, account_id: str) -> bool:
        """Note that an account has begun; whether it had not."""
        return bool(
            await self._tx.execute(
                "insert into skill_beginning (account_id) values ($1) on conflict do nothing", account_id
            )
        )

    async def has_begun(self, account_id: str) -> bool:
        """Tell whether an account has begun."""
        return bool(await self._tx.value("select true from skill_beginning where account_id = $1", account_id))

    async def put(self, account_id: str, package: Package, source: str) -> None:
        """Install a package in place of what has its name; whether that was enabled stays."""
        await self._tx.execute(
            """
            insert into skill
                   (account_id, name, version, description, author, tags, allowed_tools, instructions, source)
            values ($1, $2, $3, $4, $5, $6, $7, $8, $9)
                on conflict (account_id, name) do update
               set version = excluded.version, description = excluded.description, author = excluded.author,
                   tags = excluded.tags, allowed_tools = excluded.allowed_tools,
                   instructions = excluded.instructions, source = excluded.source, installed_at = now()
            """,
            *(account_id, package.name, package.version, package.description, package.author, package.tags),
            *(package.allowed_tools, package.instructions, source),
        )

    async def list_of(self, account_id: str, names: Sequence[str] | None = None) -> list[InstalledSkill]:
        """List an account's skills by name; only those of these names, if given."""
        return await self._tx.all(
            InstalledSkill,
            """
            select name, version, description, author, tags, allowed_tools, instructions, source, is_enabled,
                   installed_at
              from skill
             where account_id = $1
               and ($2::text[] is null or name = any ($2))
             order by name
            """,
            *(account_id, None if names is None else list(names)),
        )

    async def count(self, account_id: str) -> int:
        """Count an account's skills."""
        return int(await self._tx.value("select count(*) from skill where account_id = $1", account_id))

    async def enable(self, account_id: str, name: str, *, is_enabled: bool) -> bool:
        """Switch a skill; whether there is one."""
        return bool(
            await self._tx.execute(
                "update skill set is_enabled = $3 where account_id = $1 and name = $2", account_id, name, is_enabled
            )
        )

    async def delete(self, account_id: str, name: str) -> bool:
        """Uninstall a skill; whether there was one."""
        return bool(await self._tx.execute("delete from skill where account_id = $1 and name = $2", account_id, name))

    async def erase(self, account_id: str) -> None:
        """Delete an account's skills, and that it has begun."""
        await self._tx.execute("delete from skill where account_id = $1", account_id)
        await self._tx.execute("delete from skill_beginning where account_id = $1", account_id)
