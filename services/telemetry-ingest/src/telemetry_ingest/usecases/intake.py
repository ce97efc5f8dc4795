"""Intake: one sender's frames become samples, or are refused."""

from collections.abc import Callable, Collection

import msgspec

from shoal.clock import Clock
from shoal.ids import new_id
from telemetry_ingest.clients.publisher import Batch, Publisher, Sender, Source
from telemetry_ingest.domain.frames import AgentFrame, Ref
from telemetry_ingest.domain.reading import RefusedFrameError, check_time

_encode = msgspec.json.Encoder().encode


class UnknownAgentError(Exception):
    """A frame names an agent that its sender may not speak for, as far as we know."""

    def __init__(self, agent_id: str, ref: Ref) -> None:
        self.agent_id, self.ref = agent_id, ref
        super().__init__(agent_id)


class Intake:
    """Takes frames of one sender.

    A numbered frame is sample (agent, epoch, seq) in the epoch that the sender named, or one of this intake. Frames
    without a number are counted, for each agent, in another epoch of this intake.

    Args:
        account_id: The sender's account.
        agents: Whom it may speak for; may grow and shrink.
        epoch: The sender's own epoch, if it named one.
        sender: Hears what became of numbered frames.
        on_agent: Called when the first frame of an agent is taken.
    """

    def __init__(
        self,
        publisher: Publisher,
        clock: Clock,
        *,
        account_id: str,
        agents: Collection[str],
        sender: Sender,
        on_agent: Callable[[str], None],
        epoch: str | None = None,
    ) -> None:
        self._publisher = publisher
        self._clock = clock
        self._account_id = account_id
        self._sender = sender
        self._on_agent = on_agent
        self._life = new_id("life")
        self._epoch = epoch or f"{self._life}-n"
        self._numbered: dict[str, Source] = {}
        self._counted: dict[str, Source] = {}
        self.agents = agents
        self.last: Batch | None = None
        """The batch that carries the newest sample."""

    def take(self, frame: AgentFrame) -> None:
        """Hand a frame to the publisher.

        Raises:
            RefusedFrameError: Its time is out of range.
            UnknownAgentError: It names an agent that is none of the sender's.
        """
        agent_id, seq = frame.agent_id, frame.seq
        if agent_id not in self.agents:
            raise UnknownAgentError(agent_id, Ref(seq=seq))
        now = self._clock.now()
        check_time(frame, now)
        if seq is None:
            source = self._counted.get(agent_id) or self._open(self._counted, agent_id, self._life)
            source.counted += 1
            sample = frame.to_sample(source.counted, now)
        else:
            source = self._numbered.get(agent_id) or self._open(self._numbered, agent_id, self._epoch)
            sample = frame.to_sample(seq, now)
        self.last = batch = self._publisher.add(source, _encode(sample), frame.kind, _encode(frame))
        if seq is not None:
            batch.acks[self._sender] = max(seq, batch.acks.get(self._sender, 0))

    def count_refused(self, error: RefusedFrameError) -> None:
        """Let a refused numbered frame be acknowledged in its turn: after everything before it is stored."""
        seq = error.ref.seq
        if seq is None:
            return
        if self.last is None or self.last.is_released:
            self._sender.acknowledge(seq)
        else:
            self.last.acks[self._sender] = max(seq, self.last.acks.get(self._sender, 0))

    def when_stored(self, act: Callable[[], None]) -> None:
        """Do something once everything that was taken so far is stored."""
        if self.last is None:
            act()
        else:
            self.last.when_released(act)

    def _open(self, sources: dict[str, Source], agent_id: str, epoch: str) -> Source:
        if agent_id not in self._numbered and agent_id not in self._counted:
            self._on_agent(agent_id)
        source = sources[agent_id] = Source(self._account_id, agent_id, epoch, self._sender)
        return source
