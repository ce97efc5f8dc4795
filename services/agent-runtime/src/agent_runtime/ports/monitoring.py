"""What turns take, and what they may."""

from datetime import datetime
from decimal import Decimal
from typing import Protocol

from msgspec import Struct

from agent_runtime.ports.models import ModelName
from shoal.database import Transaction


class ModelCall(Struct, frozen=True, kw_only=True):
    """A call of a model: who asks, in which session and run, by which login or key."""

    account_id: str
    agent_id: str
    session_key: str
    credential_id: str
    run_id: str
    model: ModelName


class Estimate(ModelCall, frozen=True, kw_only=True):
    """What a call may take at most, before it is made."""

    input_tokens: int
    output_tokens: int


class Spent(ModelCall, frozen=True, kw_only=True):
    """What a call took, as the provider counted or we guessed.

    Args:
        input_tokens: Read, cached ones included.
        output_tokens: Written.
        cache_read_tokens: Those of the input that came from the provider's cache.
        cache_write_tokens: Those of the input that it put there.
        tier: Of which tier the model was: 1 plain code, 2 small, 3 large.
        at: When.
    """

    input_tokens: int
    output_tokens: int
    cache_read_tokens: int
    cache_write_tokens: int
    tier: int
    at: datetime


class Charge(Struct, frozen=True):
    """What a call counts as: its cost in USD, and its tokens."""

    usd: Decimal = Decimal(0)
    tokens: int = 0


class Usage(Protocol):
    """Sets aside before calls of models and records after them, against budgets."""

    async def reserve(self, estimate: Estimate) -> str:
        """Set something aside for a call; returns the reservation, which lapses by itself within the hour.

        Raises:
            BudgetExhaustedError: The money is used up.
            TokenBudgetExhaustedError: The tokens are used up for now.
        """
        ...

    async def retry_after_s(self, estimate: Estimate) -> float | None:
        """Tell in how many seconds all budgets that refuse a call begin anew; None: one never does, or none refuses."""
        ...

    async def settle(
        self, tx: Transaction, reservation: str, spent: Spent | None, *, turn: "TimedTurn | None" = None
    ) -> Charge:
        """Record what a call took in place of what was set aside, None for nothing; with it the turn that it ends."""
        ...

    async def give_back(self, tx: Transaction, run_id: str) -> None:
        """Give back what is still set aside for a run that is over: its process died before its call was settled."""
        ...


class StageTiming(Struct, frozen=True):
    """How long one stage of a turn took; `status` is completed, error or skipped."""

    stage: str
    status: str
    duration_ms: float


class TimedTurn(Struct, frozen=True, kw_only=True):
    """A turn that went through the pipeline, whether or not it came to an answer.

    Args:
        complexity: Of what was asked, 0 to 1.
        tier: For which models that is: 2 small, 3 large.
        latency_ms: For how long it was worked on; waiting for people does not count.
        stages: In their order.
        trace_id: Of its trace, 32 hexadecimal digits; empty where none was kept.
        at: When its end was written.
    """

    run_id: str
    account_id: str
    agent_id: str
    session_key: str
    model: str
    complexity: float
    tier: int
    latency_ms: float
    is_success: bool
    stages: tuple[StageTiming, ...]
    trace_id: str
    at: datetime


class PipelineLog(Protocol):
    """Keeps timed turns."""

    async def record(self, tx: Transaction, turn: TimedTurn) -> None:
        """Keep a turn; one that is recorded again changes nothing."""
        ...
