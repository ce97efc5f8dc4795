"""SQL of what calls of models took, and nothing else."""

from collections.abc import Sequence
from datetime import datetime

from agent_runtime.monitoring.domain.prices import PriceOverride
from agent_runtime.monitoring.domain.usage import ByModel, BySession, ByTier, Span
from agent_runtime.ports import ModelName
from shoal.database import Transaction


class UsageRepository:
    """Rows of `usage_entry` and `price_override`."""

    def __init__(self, tx: Transaction) -> None:
        self._tx = tx

    async def by_model(self, account_id: str, span: Span) -> Sequence[ByModel]:
        """Add up by provider and model, most tokens first."""
        return await self._tx.all(
            ByModel,
            """
            select provider, model,
                   sum(input_tokens)::bigint as input_tokens, sum(output_tokens)::bigint as output_tokens,
                   count(*) as requests,
                   sum(input_cost) as input_cost, sum(output_cost) as output_cost,
                   count(*) filter (where price is null) as unpriced
              from usage_entry
             where account_id = $1
               and at >= coalesce($2::timestamptz, '-infinity')
               and at < coalesce($3::timestamptz, 'infinity')
             group by provider, model
             order by sum(input_tokens + output_tokens) desc, provider, model
            """,
            *(account_id, span.since, span.until),
        )

    async def by_session(self, account_id: str, span: Span, *, limit: int) -> Sequence[BySession]:
        """Add up by session, most tokens first."""
        return await self._tx.all(
            BySession,
            """
            select session_key,
                   sum(input_tokens)::bigint as input_tokens, sum(output_tokens)::bigint as output_tokens,
                   count(*) as requests
              from usage_entry
             where account_id = $1
               and at >= coalesce($2::timestamptz, '-infinity')
               and at < coalesce($3::timestamptz, 'infinity')
             group by session_key
             order by sum(input_tokens + output_tokens) desc, session_key
             limit $4
            """,
            *(account_id, span.since, span.until, limit),
        )

    async def by_tier(self, account_id: str, span: Span) -> Sequence[ByTier]:
        """Add up by tier, the lowest first."""
        return await self._tx.all(
            ByTier,
            """
            select tier, count(*) as requests, sum(input_cost + output_cost) as cost
              from usage_entry
             where account_id = $1
               and at >= coalesce($2::timestamptz, '-infinity')
               and at < coalesce($3::timestamptz, 'infinity')
             group by tier
             order by tier
            """,
            *(account_id, span.since, span.until),
        )

    # prices

    async def price_held(self, account_id: str, model: ModelName, *, at: datetime) -> PriceOverride | None:
        """Find the account's own price of a model at a moment; from then to the commit no budget of it begins."""
        return await self._tx.find(
            PriceOverride,
            """
            with held as materialized (
                select pg_advisory_xact_lock_shared(hashtextextended($1, 3))
            )
            select id, account_id, provider, model, valid_from, input, output, cache_read, cache_write
              from price_override
             where account_id = $1
               and provider = $2
               and model = $3
               and valid_from <= ($4::timestamptz at time zone 'UTC')::date
               and exists (select from held)
             order by valid_from desc
             limit 1
            """,
            *(account_id, model.provider, model.name, at),
        )

    async def list_overrides(self, account_id: str) -> Sequence[PriceOverride]:
        """List an account's own prices."""
        return await self._tx.all(
            PriceOverride,
            """
            select id, account_id, provider, model, valid_from, input, output, cache_read, cache_write
              from price_override
             where account_id = $1
             order by provider, model, valid_from
            """,
            account_id,
        )

    async def put_override(self, price: PriceOverride) -> PriceOverride | None:
        """Set an account's own price from a day on."""
        return await self._tx.find(
            PriceOverride,
            """
            insert into price_override (id, account_id, provider, model, valid_from,
                                        input, output, cache_read, cache_write)
            values ($1, $2, $3, $4, $5, $6, $7, $8, $9)
                on conflict on constraint price_override_key do update
               set input = excluded.input, output = excluded.output,
                   cache_read = excluded.cache_read, cache_write = excluded.cache_write
            returning id, account_id, provider, model, valid_from, input, output, cache_read, cache_write
            """,
            *(price.id, price.account_id, price.provider, price.model, price.valid_from),
            *(price.input, price.output, price.cache_read, price.cache_write),
        )

    async def delete_override(self, account_id: str, price_id: str) -> int:
        """Forget an account's own price; returns how many there were."""
        return await self._tx.execute(
            "delete from price_override where account_id = $1 and id = $2", account_id, price_id
        )

    async def erase(self, account_id: str) -> None:
        """Delete what an account's calls took, and its own prices."""
        await self._tx.execute("delete from usage_entry where account_id = $1", account_id)
        await self._tx.execute("delete from price_override where account_id = $1", account_id)
