"""Choosing who does some work."""

import structlog

from agent_runtime.delegation.domain import booster
from agent_runtime.delegation.domain.complexity import classify
from agent_runtime.delegation.domain.rules import BOOSTER, fitting
from agent_runtime.delegation.domain.tasks import Choice
from agent_runtime.delegation.usecases.rules import Rules
from agent_runtime.ports import Configuration


class Choosing:
    """Chooses by the first rule that fits, else the account's default model.

    A rule for plain code decides only if plain code can do this very task; why it cannot is part of the choice.
    """

    def __init__(self, *, rules: Rules, configuration: Configuration) -> None:
        self._rules = rules
        self._configuration = configuration

    async def choose(self, account_id: str, text: str, tool_name: str) -> Choice:
        """Tell who does some work; plain code that can has done it then, and the choice holds what it made."""
        classified, fallback_reason = classify(text), ""
        for rule in fitting(await self._rules.list_for(account_id), tool_name, classified.complexity):
            if rule.target != BOOSTER:
                return Choice(
                    target=rule.target,
                    tier=classified.tier,
                    complexity=classified.complexity,
                    rule=rule.name,
                    fallback_reason=fallback_reason,
                )
            try:
                boosted = booster.boost(tool_name, text)
            except booster.NotForBoosterError as error:
                fallback_reason = fallback_reason or f"{BOOSTER} by rule {rule.name}: {error}"
                structlog.get_logger().debug("booster_passed", tool=tool_name, reason=str(error))
            else:
                return Choice(target=BOOSTER, tier=1, complexity=classified.complexity, rule=rule.name, boosted=boosted)
        defaults = await self._configuration.defaults(account_id)
        return Choice(
            target=defaults.model,
            tier=classified.tier,
            complexity=classified.complexity,
            fallback_reason=fallback_reason,
        )
