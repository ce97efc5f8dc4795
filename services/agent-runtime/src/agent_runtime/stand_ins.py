"""What the factory lends where a subject is not there yet: each does the least that its port allows."""
# ruff: noqa: ARG002 - who does nothing needs nothing

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from agent_runtime.errors import AgentNotFoundError, RunNotFoundError, SessionNotFoundError
from agent_runtime.ports import (
    ActiveSkill,
    AgentProfile,
    Assignment,
    Choice,
    Defaults,
    Estimate,
    Frame,
    Message,
    Outcome,
    Provider,
    Recollection,
    Spent,
    TimedTurn,
    Traffic,
    TurnRequest,
    TurnResult,
)
from shoal.database import Transaction


class NoAgents:
    """Has none."""

    async def get(self, account_id: str, agent_id: str) -> AgentProfile:
        """Find none."""
        raise AgentNotFoundError


class NoSessions:
    """Has none."""

    async def recent(self, account_id: str, session_key: str, limit: int) -> Sequence[Message]:
        """Find none."""
        raise SessionNotFoundError


class NoTurns:
    """Answers nothing."""

    async def start(self, request: TurnRequest) -> str:
        """Find no session."""
        raise SessionNotFoundError

    async def ask(self, request: TurnRequest, *, timeout_s: float) -> TurnResult:
        """Find no session."""
        raise SessionNotFoundError

    async def wait(self, account_id: str, run_id: str, *, timeout_s: float) -> TurnResult:
        """Find no run."""
        raise RunNotFoundError

    async def cancel(self, account_id: str, run_id: str) -> None:
        """Find no run."""
        raise RunNotFoundError

    async def cancel_session(self, account_id: str, session_key: str) -> None:
        """Find no session."""
        raise SessionNotFoundError


class NoTraffics:
    """Saw none."""

    async def traffic(self, account_id: str, origins: Sequence[str]) -> Traffic:
        """Count none."""
        return Traffic()


class NoFrames:
    """Sends nothing."""

    async def publish(self, frame: Frame) -> None:
        """Send nothing."""


class NoMemories:
    """Remembers nothing."""

    async def search(
        self, account_id: str, query: str, *, namespace: str = "", threshold: float = 0.0, limit: int = 10
    ) -> Sequence[Recollection]:
        """Find nothing."""
        return []

    async def put(
        self, account_id: str, key: str, value: str, *, namespace: str = "default", tags: Sequence[str] = ()
    ) -> Recollection:
        """Say what would be remembered."""
        return Recollection(key=key, value=value, namespace=namespace, tags=tuple(tags), updated_at=datetime.now(UTC))


class NoSkills:
    """Has none."""

    async def active(self, account_id: str, names: Sequence[str]) -> Sequence[ActiveSkill]:
        """Find none."""
        return []


class NoConfiguration:
    """Knows nothing but the defaults."""

    async def defaults(self, account_id: str) -> Defaults:
        """Give the defaults."""
        return Defaults()

    async def provider(self, account_id: str, name: str) -> Provider | None:
        """Find none."""
        return None

    async def channels(self, account_id: str) -> Mapping[str, bool]:
        """Find none."""
        return {}


class NoDelegations:
    """Hands nothing on."""

    async def complexity(self, text: str) -> float:
        """Take everything for simple."""
        return 0.0

    async def choose(self, account_id: str, text: str, tool_name: str) -> Choice:
        """Choose what is there."""
        return Choice(target="offline/rules", tier=2, complexity=0.0)

    async def delegate(self, assignment: Assignment) -> Outcome:
        """Refuse."""
        return Outcome(task_id="", target="", tier=2, status="failed", output="There is nobody to hand work to.")


class NoCanvases:
    """Draws nothing."""

    async def apply(self, account_id: str, canvas_id: str, command: Mapping[str, Any], *, agent_id: str) -> None:
        """Draw nothing."""


class NoUsage:
    """Lets everything through."""

    async def reserve(self, estimate: Estimate) -> str:
        """Let through."""
        return ""

    async def settle(self, tx: Transaction, reservation: str, spent: Spent | None) -> Decimal:
        """Forget."""
        return Decimal(0)


class NoPipelineLog:
    """Keeps nothing."""

    async def record(self, tx: Transaction, turn: TimedTurn) -> None:
        """Forget."""
