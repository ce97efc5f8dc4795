"""How work is handed on."""

from typing import Protocol

from msgspec import Struct


class Choice(Struct, frozen=True, kw_only=True):
    """Who does some work.

    Args:
        target: A model as `provider/model`, or `agent-booster` for plain code.
        tier: 1 plain code, 2 a small model, 3 a large one.
        complexity: 0 to 1.
        rule: The rule that decided; empty when none did.
    """

    target: str
    tier: int
    complexity: float
    rule: str = ""


class Assignment(Struct, frozen=True, kw_only=True):
    """Work to hand on: `task` in words, under the name that rules match."""

    account_id: str
    session_key: str
    run_id: str
    task: str
    tool_name: str


class Outcome(Struct, frozen=True, kw_only=True):
    """What became of work that was handed on; `status` is completed or failed."""

    task_id: str
    target: str
    tier: int
    status: str
    output: str


class Delegations(Protocol):
    """Work that an agent hands on."""

    async def complexity(self, text: str) -> float:
        """Tell how complex a task is, 0 to 1."""
        ...

    async def choose(self, account_id: str, text: str, tool_name: str) -> Choice:
        """Tell who would do it, by the account's rules."""
        ...

    async def delegate(self, assignment: Assignment) -> Outcome:
        """Choose, record, do and record again, with `delegation:update` frames; cancelled when the caller is."""
        ...
