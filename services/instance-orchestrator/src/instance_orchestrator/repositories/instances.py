"""Rows of `instance`."""

from collections.abc import Sequence

from instance_orchestrator.domain.instances import Instance
from instance_orchestrator.domain.plans import InstanceRef, Observed
from shoal.database import Transaction


class InstanceRepository:
    """One row per instance for ever; a deleted one is a tombstone."""

    def __init__(self, tx: Transaction) -> None:
        self._tx = tx

    async def insert(self, instance: Instance, *, config: bytes) -> int:
        """Add an instance at the end of its account's list; returns its id."""
        return int(
            await self._tx.value(
                """
                insert into instance (account_id, user_id, name, display_name, cpu_request, cpu_limit,
                                      memory_request, memory_limit, storage_clawdbot, storage_homebrew,
                                      storage_clawd, storage_chrome, config, container_image, vnc_resolution,
                                      disabled_models, extra_models, default_model, sort_order)
                values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18,
                        (select coalesce(max(sort_order), 0) + 1 from instance where account_id = $1))
                returning id
                """,
                *(instance.account_id, instance.user_id, instance.name, instance.display_name),
                *(instance.cpu_request, instance.cpu_limit, instance.memory_request, instance.memory_limit),
                *(instance.storage_clawdbot, instance.storage_homebrew, instance.storage_clawd),
                *(instance.storage_chrome, config, instance.container_image, instance.vnc_resolution),
                *(instance.disabled_models, instance.extra_models, instance.default_model),
            )
        )

    async def set_source(self, instance_id: int, source_id: int) -> None:
        """Note whose clone an instance is."""
        await self._tx.execute("insert into clone (instance_id, source_id) values ($1, $2)", instance_id, source_id)

    async def source(self, instance_id: int) -> InstanceRef | None:
        """Read whose clone an instance is, whether that still is or not."""
        return await self._tx.find(
            InstanceRef,
            "select s.id, s.name from clone as c join instance as s on s.id = c.source_id where c.instance_id = $1",
            instance_id,
        )

    async def select(
        self,
        *,
        account_id: str | None = None,
        ids: Sequence[int] | None = None,
        user_id: str | None = None,
        is_deleted_too: bool = False,
        after: int = 0,
        limit: int | None = None,
    ) -> list[Instance]:
        """Read instances in their account's order; what is None does not narrow."""
        return await self._tx.all(
            Instance,
            """
            select i.id, i.account_id, i.user_id, i.name, i.display_name, i.desired, i.cpu_request, i.cpu_limit,
                   i.memory_request, i.memory_limit, i.storage_clawdbot, i.storage_homebrew, i.storage_clawd,
                   i.storage_chrome, i.container_image, i.vnc_resolution, i.disabled_models, i.extra_models,
                   i.default_model, i.restarts, i.sort_order, i.generation, i.observed_generation, i.nudge,
                   i.observed_nudge, i.phase, i.problem, i.ssh_host, i.ssh_port, i.ssh_user, i.pairing_id, i.is_paired,
                   i.version, i.created_at, i.updated_at, i.removed_at, pair.chrome_port, pair.terminal_port,
                   array(select k.name from instance_key as k where k.instance_id = i.id order by k.name) as key_names
              from instance as i
              left join port_pair as pair on pair.instance_id = i.id
             where ($1::text is null or i.account_id = $1)
               and ($2::integer[] is null or i.id = any($2))
               and ($3::text is null or exists (select from assignment as a
                                                 where a.instance_id = i.id and a.user_id = $3))
               and ($4 or i.desired <> 'deleted')
               and i.id > $5
             order by i.sort_order, i.id
             limit $6
            """,
            *(account_id, ids, user_id, is_deleted_too, after, limit),
        )

    async def page(self, after: int, limit: int) -> list[Instance]:
        """Read instances in the order of ids, deleted ones included."""
        ids = await self._tx.all(int, "select id from instance where id > $1 order by id limit $2", after, limit)
        found = await self.select(ids=ids, is_deleted_too=True)
        return sorted(found, key=lambda instance: instance.id)

    async def lock(self, instance_id: int) -> Instance | None:
        """Read an instance, deleted or not, and hold its row."""
        await self._tx.execute("select from instance where id = $1 for update", instance_id)
        found = await self.select(ids=[instance_id], is_deleted_too=True)
        return found[0] if found else None

    async def hold(self, ids: Sequence[int], *, account_id: str) -> None:
        """Hold an account's instances against being changed or deleted, until the transaction ends."""
        await self._tx.execute(
            "select from instance where id = any($1) and account_id = $2 order by id for share", ids, account_id
        )

    async def replace(self, instance: Instance) -> None:
        """Write what an instance should be; its generation and version are the caller's to raise."""
        await self._tx.execute(
            """
            update instance
               set display_name = $2, desired = $3, cpu_request = $4, cpu_limit = $5, memory_request = $6,
                   memory_limit = $7, storage_clawdbot = $8, storage_homebrew = $9, storage_clawd = $10,
                   storage_chrome = $11, container_image = $12, vnc_resolution = $13, disabled_models = $14,
                   extra_models = $15, default_model = $16, restarts = $17, generation = $18, version = $19,
                   updated_at = now(), deleted_at = case when $3 = 'deleted' then now() end
             where id = $1
            """,
            *(instance.id, instance.display_name, instance.desired, instance.cpu_request, instance.cpu_limit),
            *(instance.memory_request, instance.memory_limit, instance.storage_clawdbot, instance.storage_homebrew),
            *(instance.storage_clawd, instance.storage_chrome, instance.container_image, instance.vnc_resolution),
            *(instance.disabled_models, instance.extra_models, instance.default_model, instance.restarts),
            *(instance.generation, instance.version),
        )

    async def is_taken(self, name: str) -> bool:
        """Tell whether an instance that is not deleted has this name."""
        return bool(await self._tx.value("select true from instance where name = $1 and desired <> 'deleted'", name))

    async def config(self, instance_id: int) -> bytes:
        """Read the bytes of an instance's config."""
        return bytes(await self._tx.value("select config from instance where id = $1", instance_id))

    async def set_config(self, instance_id: int, config: bytes) -> None:
        """Write the bytes of an instance's config."""
        await self._tx.execute("update instance set config = $2 where id = $1", instance_id, config)

    async def set_order(self, places: Sequence[tuple[int, int]]) -> None:
        """Write instances' places in the list: pairs of id and place."""
        await self._tx.execute_many("update instance set sort_order = $2 where id = $1", places)

    async def nudge(self, instance_id: int) -> None:
        """Have an instance looked at, without saying that it is to be different."""
        await self._tx.execute(
            "update instance set nudge = nudge + 1 where id = $1 and desired <> 'deleted'", instance_id
        )

    async def raise_generation(self, account_id: str, *, without: Sequence[str]) -> int:
        """Have work done on the account's instances, but those that have every one of these keys of their own."""
        return await self._tx.execute(
            """
            update instance as i
               set generation = generation + 1
             where account_id = $1
               and desired <> 'deleted'
               and (select count(*) from instance_key as k where k.instance_id = i.id and k.name = any($2))
                   < cardinality($2::text[])
            """,
            *(account_id, without),
        )

    # the reconciler's

    async def ids(self, *, is_unfinished_only: bool) -> list[int]:
        """List every instance of which a backend may hold something, or those on which work is known to be left."""
        return await self._tx.all(
            int,
            """
            select id
              from instance
             where removed_at is null
               and (not $1 or generation <> observed_generation or nudge <> observed_nudge)
             order by id
            """,
            is_unfinished_only,
        )

    async def predecessor(self, instance_id: int, name: str) -> int | None:
        """Find an older instance of the same name that the backend may still hold something of."""
        found: int | None = await self._tx.value(
            "select min(id) from instance where name = $2 and id < $1 and removed_at is null", instance_id, name
        )
        return found

    async def observe(self, instance: Instance, seen: Observed, *, version: int) -> None:
        """Write what was seen of an instance after this state of its row was applied."""
        endpoint = seen.endpoint
        await self._tx.execute(
            """
            update instance
               set observed_generation = $2, phase = $3, problem = $4, ssh_host = $5, ssh_port = $6, ssh_user = $7,
                   version = $8, observed_nudge = $9
             where id = $1
            """,
            *(instance.id, instance.generation, seen.phase, seen.problem),
            *((endpoint.host, endpoint.port, endpoint.user) if endpoint else (None, None, None)),
            *(version, instance.nudge),
        )

    async def set_pairing(self, instance_id: int, pairing_id: str, *, is_paired: bool) -> None:
        """Write by which pairing an instance's agent is, or will be, on the dashboard."""
        await self._tx.execute(
            """
            update instance
               set pairing_id = $2, is_paired = $3, pairing_token = null, pairing_expires_at = null
             where id = $1
            """,
            *(instance_id, pairing_id, is_paired),
        )

    async def find_by_pairing(self, pairing_id: str) -> int | None:
        """Find the instance whose agent has, or will have, this pairing."""
        found: int | None = await self._tx.value(
            "select id from instance where pairing_id = $1 and desired <> 'deleted' for update", pairing_id
        )
        return found

    async def mark_removed(self, instance_id: int) -> None:
        """Note that nothing of a deleted instance is left."""
        await self._tx.execute(
            "update instance set removed_at = now(), observed_generation = generation where id = $1", instance_id
        )

    async def signal(self, channel: str) -> None:
        """Wake whoever reconciles, once this commits."""
        await self._tx.execute("select pg_notify($1, '')", channel)
