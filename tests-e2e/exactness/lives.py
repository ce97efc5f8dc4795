"""Made-up lives of agents: every kind of frame that the documented rules tell apart, spread over a day."""

import random
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

from stack.sockets import stamp

from exactness.reference import Told

DAY_S = 23 * 3600
SKILLS = ("image-generation", "translation", "search")


class Life:
    """One agent that restarts twice; by its number it tells rolling gauges, counters, or whatever comes to mind."""

    def __init__(self, number: int, *, frames: int, now: datetime) -> None:
        self._random = random.Random(number)
        self._kind = number % 4
        self._epochs = [f"life-{number}-{n}" for n in range(3)]
        seconds = sorted(self._random.uniform(0, DAY_S) for _ in range(frames))
        moments = [_off_the_hour(now - timedelta(seconds=DAY_S - second)) for second in seconds]
        self.told = list(self._tell(moments))

    def by_epoch(self) -> dict[str, list[Told]]:
        """Group frames as an agent would send them: numbers ascend, times do not."""
        return {epoch: [one for one in self.told if one.epoch == epoch] for epoch in self._epochs}

    def _tell(self, moments: list[datetime]) -> Iterator[Told]:
        each = -(-len(moments) // len(self._epochs))
        for life, epoch in enumerate(self._epochs):
            part = moments[life * each : (life + 1) * each]
            self._began, self._messages, self._errors, self._revenue, self._tokens = part[0], 0, 0, 0, 0
            numbered = [self._frame(at) for at in part]
            self._random.shuffle(numbered)
            for seq, (at, kind, data) in enumerate(numbered, 1):
                yield Told(epoch, seq, at, kind, data)

    def _frame(self, at: datetime) -> tuple[datetime, str, dict[str, Any]]:
        roll = self._random.random()
        if roll < 0.1 and self._kind != 1:
            skill = {"skill": self._random.choice(SKILLS)} if self._random.random() < 0.7 else {}
            return at, "error", {"error_type": "skill_failure", "message": "Model timeout", **skill}
        if roll < 0.25 and self._kind != 2:
            return at, "skills", {name: self._skill() for name in self._random.sample(SKILLS, 2)}
        return at, "metrics", self._metrics(at)

    def _metrics(self, at: datetime) -> dict[str, Any]:
        dice = self._random
        self._messages += dice.randrange(9)
        self._errors += dice.randrange(2)
        self._revenue += dice.randrange(10**6)
        self._tokens += dice.randrange(10**5)
        said: dict[str, Any] = {"memory_mb": dice.randrange(100, 4000) / 4, "active_sessions": dice.randrange(9)}
        said["cpu_percent"] = dice.randrange(800) / 8
        if self._kind != 3 or dice.random() < 0.5:
            said["uptime_s"] = int((at - self._began).total_seconds())
        if self._kind in {0, 3}:
            said["messages_1h"] = dice.randrange(60, 200)
            said["avg_response_ms"] = dice.randrange(50, 30000) / 10
        if self._kind in {1, 3} and dice.random() < 0.9:
            said |= {"messages_total": self._messages, "errors_total": self._errors}
            said |= {"revenue_total": f"{self._revenue / 10**6:.6f}", "tokens_total": self._tokens}
        if self._kind == 2:
            said |= {"messages_1h": dice.randrange(60, 200), "errors_1h": dice.randrange(9)}
            said["revenue_1h"] = f"{dice.randrange(10**4) / 100:.2f}"
            said["response_ms"] = [dice.randrange(1, 50000) / 10 for _ in range(dice.randrange(4))]
        return said

    def _skill(self) -> dict[str, Any]:
        dice = self._random
        money = f"{dice.randrange(500) / 100:.2f}"
        return {"calls_1h": dice.randrange(50), "revenue_1h": money, "avg_latency_ms": dice.randrange(10, 5000)}


def frame_of(one: Told, agent_id: str) -> dict[str, Any]:
    """Write a sample as the protocol's frame."""
    return {"type": one.kind, "agent_id": agent_id, "timestamp": stamp(one.at), "seq": one.seq, "data": one.data}


def _off_the_hour(moment: datetime) -> datetime:
    """Cut to what travels, milliseconds; the first second of an hour is left out."""
    cut = moment.replace(microsecond=moment.microsecond // 1000 * 1000)
    return cut + timedelta(seconds=1) if (cut.minute, cut.second) == (0, 0) else cut
