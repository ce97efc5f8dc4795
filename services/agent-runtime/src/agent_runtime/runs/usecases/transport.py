"""Asking models: with retries, with stand-ins, within budgets."""

import asyncio
import random
from collections.abc import Sequence
from contextlib import aclosing

import structlog
from opentelemetry.trace import SpanKind

from agent_runtime.errors import (
    ModelBrokeOffError,
    ModelKeyMissingError,
    ModelRefusedError,
    ModelSilentError,
    ModelUnavailableError,
    ModelUnknownError,
)
from agent_runtime.ports import (
    Estimate,
    Model,
    ModelName,
    Models,
    Prompt,
    PromptMessage,
    Spent,
    StreamPart,
    TextDelta,
    TimedTurn,
    ToolCallDelta,
    Usage,
    UsageReport,
    tokens_of,
)
from agent_runtime.runs.domain.answers import Answer
from agent_runtime.runs.domain.runs import EventType, Run
from agent_runtime.runs.repositories.tallies import TallyRepository
from agent_runtime.runs.usecases.assembly import TurnContext
from agent_runtime.runs.usecases.recorder import Recorder
from agent_runtime.texts import storable
from shoal.clock import Clock
from shoal.database import Database, DatabaseUnavailableError, Transaction
from shoal.errors import AppError
from shoal.ids import new_id
from shoal.telemetry import Tracing

TRIES = 3
FIRST_PAUSE_S = 0.5
MAX_PAUSE_S = 20.0
MAX_ANSWER = 1024 * 1024
MAX_CALLS = 32
MAX_NAME = 128
_BEFORE_OUTPUT = (
    ModelUnavailableError,
    ModelRefusedError,
    ModelSilentError,
    ModelUnknownError,
    ModelKeyMissingError,
)


class _Attempt:
    """What came so far of one answer; `asked` is how many tokens its prompt takes, as far as can be guessed."""

    def __init__(self, *, asked: int) -> None:
        self._asked = asked
        self.text: list[str] = []
        self.calls: list[ToolCallDelta] = []
        self.usage: UsageReport | None = None
        self._size = 0

    @property
    def has_begun(self) -> bool:
        return bool(self.text or self.calls)

    async def take(self, piece: StreamPart, recorder: Recorder) -> None:
        """Take what a stranger says: bounded, and as text that can be stored.

        Raises:
            ModelBrokeOffError: It is more than an answer may be.
        """
        match piece:
            case TextDelta(text):
                self._grow(len(text))
                told = storable(text)
                self.text.append(told)
                await recorder.say(told)
            case ToolCallDelta(name, arguments):
                self._grow(len(arguments))
                self.calls.append(ToolCallDelta(storable(name)[:MAX_NAME], storable(arguments)))
            case UsageReport():
                self.usage = piece

    def _grow(self, by: int) -> None:
        self._size += by
        if self._size > MAX_ANSWER or len(self.calls) >= MAX_CALLS:
            raise ModelBrokeOffError("The model's answer was longer than an answer may be.")

    def spent(self) -> UsageReport:
        """Tell what the answer took, or guess it where the provider did not say."""
        if self.usage is not None:
            return self.usage
        written = tokens_of("".join(self.text), *(call.arguments for call in self.calls))
        return UsageReport(self._asked, written)


class Transport:
    """The fourth stage of the pipeline: one answer of one model."""

    def __init__(self, *, models: Models, usage: Usage, database: Database, clock: Clock, tracing: Tracing) -> None:
        self._models = models
        self._usage = usage
        self._database = database
        self._clock = clock
        self._tracing = tracing

    async def answer(self, run: Run, context: TurnContext, said: Sequence[PromptMessage], recorder: Recorder) -> Answer:
        """Have the scene's model answer, or the first of its stand-ins that does.

        Raises:
            AppError: None did; the last one's reason.
        """
        refused: AppError = ModelUnknownError()
        for name in context.models:
            prompt = _prompt(context, name, said)
            try:
                return await self._answer_by(run, context, prompt, recorder)
            except _BEFORE_OUTPUT as error:
                refused = error
                structlog.get_logger().warning("model_failed", model=str(name), code=error.code, reason=error.message)
                payload = {"model": str(name), "code": error.code, "message": error.message}
                recorder.note(EventType.RETRY, payload)
        raise refused

    async def settle(
        self, tx: Transaction, run: Run, answer: Answer, *, tier: int, turn: TimedTurn | None = None
    ) -> int:
        """Record what an answer took, and the turn that it ends; returns how many tokens that was."""
        spent = self._spent(run, answer.model, answer.usage, tier)
        return (await self._usage.settle(tx, answer.reservation, spent, turn=turn)).tokens

    async def _answer_by(self, run: Run, context: TurnContext, prompt: Prompt, recorder: Recorder) -> Answer:
        model = await self._models.model(run.account_id, prompt.model)
        asked = prompt.size
        reservation = await self._usage.reserve(_estimate(run, context, prompt.model, asked=asked))
        attempt = _Attempt(asked=asked)
        try:
            await self._try(model, prompt, attempt, recorder)
        except BaseException:
            await asyncio.shield(self._settle_broken(run, prompt, attempt, reservation, context.tier))
            raise
        return Answer(
            text="".join(attempt.text),
            calls=tuple(attempt.calls),
            model=prompt.model,
            usage=attempt.spent(),
            reservation=reservation,
        )

    async def _try(self, model: Model, prompt: Prompt, attempt: _Attempt, recorder: Recorder) -> None:
        for tried in range(1, TRIES + 1):
            try:
                await self._stream(model, prompt, attempt, recorder)
            except ModelUnavailableError as error:
                if attempt.has_begun or tried == TRIES:
                    raise
                pause_s = error.retry_after_s or FIRST_PAUSE_S * 2 ** (tried - 1)
                if pause_s > MAX_PAUSE_S:
                    raise
                recorder.note(EventType.RETRY, {"model": str(prompt.model), "code": error.code, "tried": tried})
                await asyncio.sleep(pause_s * random.uniform(1, 1.25))  # noqa: S311 - spreads callers
            else:
                return

    async def _stream(self, model: Model, prompt: Prompt, attempt: _Attempt, recorder: Recorder) -> None:
        attributes = {
            "gen_ai.operation.name": "chat",
            "gen_ai.provider.name": prompt.model.provider,
            "gen_ai.request.model": prompt.model.name,
            "gen_ai.request.max_tokens": prompt.max_tokens,
            "gen_ai.request.temperature": prompt.temperature,
        }
        with self._tracing.span(f"chat {prompt.model.name}", kind=SpanKind.CLIENT, attributes=attributes) as span:
            async with aclosing(model.stream(prompt)) as pieces:
                async for piece in pieces:
                    await attempt.take(piece, recorder)
            spent = attempt.spent()
            span.set_attribute("gen_ai.usage.input_tokens", spent.input_tokens)
            span.set_attribute("gen_ai.usage.output_tokens", spent.output_tokens)

    async def _settle_broken(self, run: Run, prompt: Prompt, attempt: _Attempt, reservation: str, tier: int) -> None:
        """Record what an answer took that did not come to its end; nothing when it did not begin."""
        spent = self._spent(run, prompt.model, attempt.spent(), tier) if attempt.has_begun else None
        try:
            async with self._database.transaction() as tx:
                charge = await self._usage.settle(tx, reservation, spent)
                if charge.tokens:
                    tallies = TallyRepository(tx)
                    await tallies.count_tokens(run.account_id, run.agent_id, charge.tokens, epoch=new_id("ep"))
        except DatabaseUnavailableError:
            structlog.get_logger().warning("usage_not_settled", run_id=run.id)

    def _spent(self, run: Run, model: ModelName, usage: UsageReport, tier: int) -> Spent:
        return Spent(
            account_id=run.account_id,
            agent_id=run.agent_id,
            session_key=run.session_key,
            credential_id=run.credential_id,
            run_id=run.id,
            model=model,
            input_tokens=usage.input_tokens,
            output_tokens=usage.output_tokens,
            cache_read_tokens=usage.cache_read_tokens,
            cache_write_tokens=usage.cache_write_tokens,
            tier=tier,
            at=self._clock.now(),
        )


def _prompt(context: TurnContext, model: ModelName, said: Sequence[PromptMessage]) -> Prompt:
    return Prompt(
        model=model,
        instructions=context.instructions,
        conversation=tuple(said),
        tools=tuple(tool.spec for tool in context.tools.values()),
        max_tokens=context.max_tokens,
        temperature=context.temperature,
    )


def _estimate(run: Run, context: TurnContext, model: ModelName, *, asked: int) -> Estimate:
    return Estimate(
        account_id=run.account_id,
        agent_id=run.agent_id,
        session_key=run.session_key,
        credential_id=run.credential_id,
        run_id=run.id,
        model=model,
        input_tokens=asked,
        output_tokens=context.max_tokens,
    )
