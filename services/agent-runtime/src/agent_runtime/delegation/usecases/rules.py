"""Rules of accounts."""

from collections.abc import Mapping
from typing import Any

import msgspec

from agent_runtime import quotas
from agent_runtime.delegation.domain.rules import BOOSTER, MAX_RULES, Rule, check
from agent_runtime.delegation.errors import InvalidRuleError, RuleNotFoundError, TooManyRulesError
from agent_runtime.delegation.repositories import RuleRepository, TaskRepository
from shoal.database import Database, Transaction

BEGINNING = Rule(
    name="simple-transforms",
    pattern="format-*|lint-*|minify-*|convert-*|encode-*|decode-*|hash-*|count-*|calculate|date-*",
    target=BOOSTER,
    complexity_threshold=1.0,
    priority=1,
)
"""The rule that every account begins with: what plain code can do, plain code does."""


class Rules:
    """List, set and delete rules."""

    def __init__(self, *, database: Database) -> None:
        self._database = database

    async def list_for(self, account_id: str) -> list[Rule]:
        """List an account's rules in the order of deciding; at the first time it is given one to begin with."""
        await self._begin(account_id)
        async with self._database.reading() as database:
            return await RuleRepository(database).list_of(account_id)

    async def put(self, account_id: str, name: str, changes: Mapping[str, Any]) -> Rule:
        """Change a rule, or add one; `changes` are fields of `Rule`.

        Raises:
            InvalidRuleError: No rule can be like this, or a new one lacks pattern or target.
            TooManyRulesError: The account has as many as it may.
        """
        await self._begin(account_id)
        async with self._database.transaction() as tx:
            repository = RuleRepository(tx)
            await quotas.hold(tx, account_id, "delegation_rule")
            rules = {rule.name: rule for rule in await repository.list_of(account_id)}
            rules[name] = rule = _changed(rules.get(name), name, changes)
            check(rule)
            await repository.put(account_id, rule)
            if len(rules) > MAX_RULES:
                raise TooManyRulesError
        return rule

    async def remove(self, account_id: str, name: str) -> None:
        """Delete a rule.

        Raises:
            RuleNotFoundError: The account has none of this name.
        """
        await self._begin(account_id)
        async with self._database.transaction() as tx:
            if not await RuleRepository(tx).delete(account_id, name):
                raise RuleNotFoundError

    async def erase(self, tx: Transaction, account_id: str) -> None:
        """Erase rules and history of an account that is no more."""
        await RuleRepository(tx).erase(account_id)
        await TaskRepository(tx).erase(account_id)

    async def _begin(self, account_id: str) -> None:
        async with self._database.reading() as database:
            if await RuleRepository(database).has_begun(account_id):
                return
        async with self._database.transaction() as tx:
            repository = RuleRepository(tx)
            if await repository.begin(account_id):
                await repository.put(account_id, BEGINNING)


def _changed(before: Rule | None, name: str, changes: Mapping[str, Any]) -> Rule:
    if before is not None:
        return msgspec.structs.replace(before, **changes)
    for field in ("pattern", "target"):
        if field not in changes:
            raise InvalidRuleError(field, "a new rule needs pattern and target")
    return Rule(**{"name": name, "complexity_threshold": 1.0, **changes})
