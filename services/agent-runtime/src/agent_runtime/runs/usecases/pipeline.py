"""The six stages that each turn passes, timed and shown."""

import contextlib
import time
from collections.abc import AsyncIterator
from enum import StrEnum

from agent_runtime.ports import Frame, Frames, StageTiming, Topic
from agent_runtime.runs.domain.runs import Run


class Stage(StrEnum):
    """What a turn passes, in this order."""

    CLASSIFIER = "classifier"
    ROUTER = "router"
    ASSEMBLER = "assembler"
    TRANSPORT = "transport"
    SCORER = "scorer"
    LEARNER = "learner"


class Pipeline:
    """One turn's way through the stages."""

    def __init__(self, run: Run, frames: Frames) -> None:
        self._run = run
        self._frames = frames
        self._started = time.perf_counter()
        self._timings: list[StageTiming] = []
        self._under_way: tuple[str, float] | None = None

    @property
    def elapsed_ms(self) -> float:
        """Milliseconds since the turn began or went on."""
        return (time.perf_counter() - self._started) * 1000

    def timings(self) -> tuple[StageTiming, ...]:
        """Tell how long each stage took; the one under way counts up to now."""
        if self._under_way is None:
            return tuple(self._timings)
        name, started = self._under_way
        return (*self._timings, StageTiming(name, "completed", (time.perf_counter() - started) * 1000))

    @contextlib.asynccontextmanager
    async def stage(self, name: Stage) -> AsyncIterator[None]:
        """Pass a stage."""
        await self._show(name, "active", 0.0)
        started, status = time.perf_counter(), "error"
        self._under_way = (name, started)
        try:
            yield
            status = "completed"
        finally:
            took = (time.perf_counter() - started) * 1000
            self._under_way = None
            self._timings.append(StageTiming(name, status, took))
            await self._show(name, status, took)

    async def _show(self, stage: str, status: str, duration_ms: float) -> None:
        run = self._run
        payload = {
            "taskId": run.id,
            "stage": stage,
            "status": status,
            "durationMs": round(duration_ms, 3),
            "session_key": run.session_key,
        }
        await self._frames.publish(Frame(run.account_id, Topic.PIPELINE_STAGE, Topic.PIPELINE_STAGE, payload))
