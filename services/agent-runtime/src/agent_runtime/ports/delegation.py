"""How work is handed on."""

from typing import Protocol

from msgspec import Struct


class Classification(Struct, frozen=True):
    """How complex a task is, 0 to 1, and the tier of models that it is for: 2 small ones, 3 large ones."""

    complexity: float
    tier: int


class Assignment(Struct, frozen=True, kw_only=True):
    """Work to hand on: `task` in words, or the bare text that plain code works on, under the name that rules match."""

    account_id: str
    agent_id: str
    session_key: str
    run_id: str
    task: str
    tool_name: str


class Outcome(Struct, frozen=True, kw_only=True):
    """What became of work that was handed on; `status` is completed or failed.

    `fallback_reason` tells why plain code did not do what a rule would have had it do; it is empty where none would.
    """

    task_id: str
    target: str
    tier: int
    status: str
    output: str
    fallback_reason: str = ""


class Delegations(Protocol):
    """Classifies work, and has it done by whoever an account's rules choose."""

    async def classify(self, text: str) -> Classification:
        """Tell how complex a task is, by its words alone."""
        ...

    async def delegate(self, assignment: Assignment) -> Outcome:
        """Choose, record, do and record again, with `delegation:update` frames; cancelled when the caller is."""
        ...
