"""Models of providers, by pydantic-ai: Anthropic's own wire format, and chat completions for everybody else.

Loading what this stands on takes seconds and a hundred megabytes: import it when a provider is first used, and in a
thread.
"""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from datetime import timedelta

import anthropic
import httpx2
import openai
from pydantic_ai.direct import model_request_stream
from pydantic_ai.exceptions import AgentRunError, ModelHTTPError
from pydantic_ai.messages import (
    ModelResponseStreamEvent,
    PartDeltaEvent,
    PartStartEvent,
    TextPart,
    TextPartDelta,
    ToolCallPart,
)
from pydantic_ai.models import Model as ProviderModel, ModelRequestParameters, StreamedResponse
from pydantic_ai.providers.anthropic import AnthropicProvider
from pydantic_ai.providers.openai import OpenAIProvider
from pydantic_ai.providers.openai_compatible import OpenAICompatibleProvider
from pydantic_ai.settings import ModelSettings

from agent_runtime.errors import ModelBrokeOffError, ModelRefusedError, ModelSilentError, ModelUnavailableError
from agent_runtime.models.clients.completions import StreamingOpenAI
from agent_runtime.models.clients.fitting import Definitions, FittedCompletions, FittedMessages
from agent_runtime.models.clients.words import messages, messages_with_words
from agent_runtime.plain import PlainTransport
from agent_runtime.ports import (
    Model,
    Prompt,
    Provider,
    StreamPart,
    TextDelta,
    ToolCallDelta,
    UsageReport,
)
from agent_runtime.texts import storable
from shoal.errors import AppError
from shoal.outgoing import OutgoingRefusedError

ANTHROPIC = "anthropic"
_UNSENT = "none"  # a key for providers that want none
_MAX_KEPT = 32
_CONNECT_S = 10.0
_MAX_PARTS = 128
"""Pieces of text, thoughts and calls in one answer; the library looks through all of them for each event."""
_MAX_TOKENS = 10**8
"""More than any call takes: whoever counts more miscounts."""
_MAX_QUOTED = 300
_UNREADABLE = (ValueError, TypeError, AttributeError, LookupError, RecursionError)
"""What the libraries raise at an answer of another shape than they expect."""
_AGAIN = frozenset({408, 409, 425, 429})
_SERVERS_FAULT = 500
_KEYS_FAULT = (401, 403)
_NOT_OVER = (None, "error", "network_error", "insufficient_system_resource")
"""What is said, or is not, of an answer that is not over; any other word that is not published says that it is."""
_TIMEOUTS = (httpx2.TimeoutException, TimeoutError, openai.APITimeoutError, anthropic.APITimeoutError)
_FOR_GOOD = ("insufficient_quota", "billing_hard_limit_reached")


class CloudModel:
    """The models of one provider, with one key."""

    def __init__(self, provider: Provider, transport: httpx2.AsyncBaseTransport, *, silence: timedelta) -> None:
        self._provider = provider
        self._key = "" if provider.api_key is None else provider.api_key.reveal()
        self._silence_s = silence.total_seconds()
        self._transport = PlainTransport(transport)
        self._http = httpx2.AsyncClient(transport=self._transport, timeout=_timeouts(self._silence_s), trust_env=False)
        self._models: dict[str, ProviderModel] = {}
        self._definitions = Definitions()

    async def stream(self, prompt: Prompt) -> AsyncGenerator[StreamPart, None]:
        """Answer, piece by piece, as `Model.stream` promises."""
        has_begun = False
        try:
            async for piece in self._pieces(prompt):
                has_begun = True
                yield piece
        except TimeoutError:
            raise ModelSilentError from None
        except (AgentRunError, httpx2.HTTPError, openai.OpenAIError, anthropic.AnthropicError, *_UNREADABLE) as error:
            refused = _refused(error, has_begun=has_begun, provider=self._provider.name, key=self._key)
            raise refused from None  # traces tell causes, and this one may hold the key

    async def _pieces(self, prompt: Prompt) -> AsyncIterator[StreamPart]:
        opened = model_request_stream(
            self._model(prompt.model.name),
            messages(prompt) if self._provider.name == ANTHROPIC else messages_with_words(prompt),
            model_settings=ModelSettings(max_tokens=prompt.max_tokens, temperature=prompt.temperature),
            model_request_parameters=ModelRequestParameters(function_tools=self._definitions.of(prompt.tools)),
        )
        async with contextlib.AsyncExitStack() as stack:
            async with asyncio.timeout(self._silence_s):
                answer = await stack.enter_async_context(opened)
                events = aiter(answer)
            while (event := await self._next(events)) is not None:
                if isinstance(event, PartStartEvent) and event.index >= _MAX_PARTS:
                    raise ModelBrokeOffError("The model's answer had more parts than an answer may have.")
                if text := _text(event):
                    yield TextDelta(text)
            for piece in _end(answer):
                yield piece

    async def _next(self, events: AsyncIterator[ModelResponseStreamEvent]) -> ModelResponseStreamEvent | None:
        async with asyncio.timeout(self._silence_s):
            return await anext(events, None)

    def _model(self, name: str) -> ProviderModel:
        """Give the model of a name; few are kept, for people choose names."""
        if name not in self._models:
            if len(self._models) >= _MAX_KEPT:
                self._models.clear()
            self._models[name] = self._made(name)
        return self._models[name]

    def _made(self, name: str) -> ProviderModel:
        """Make the model of a name; retries are ours, so the libraries make none."""
        provider = self._provider
        if provider.name == ANTHROPIC:
            client = anthropic.AsyncAnthropic(
                api_key=self._key or _UNSENT, base_url=provider.api_base, http_client=self._http, max_retries=0
            )
            return FittedMessages(name, provider=AnthropicProvider(anthropic_client=client))
        completions = StreamingOpenAI(self._http, self._transport, api_key=self._key, base_url=provider.api_base)
        if provider.name == "openai":
            return FittedCompletions(name, provider=OpenAIProvider(openai_client=completions))
        compatible = OpenAICompatibleProvider(provider.name, openai_client=completions)
        return FittedCompletions(name, provider=compatible)


def cloud_model(provider: Provider, transport: httpx2.AsyncBaseTransport, silence: timedelta) -> Model:
    """Make the models of a provider."""
    return CloudModel(provider, transport, silence=silence)


def _timeouts(silence_s: float) -> httpx2.Timeout:
    """Wait less for a connection to be free than for words: who finds none is told so, and tries again."""
    return httpx2.Timeout(silence_s, connect=_CONNECT_S, pool=min(_CONNECT_S, silence_s / 2))


def _text(event: ModelResponseStreamEvent) -> str:
    if isinstance(event, PartStartEvent) and isinstance(event.part, TextPart):
        return event.part.content
    if isinstance(event, PartDeltaEvent) and isinstance(event.delta, TextPartDelta):
        return event.delta.content_delta
    return ""


def _end(answer: StreamedResponse) -> Sequence[StreamPart]:
    """Tell the calls of an answer that is all there, and what it took, where the provider said so.

    Raises:
        ModelBrokeOffError: It is not: the provider did not say that it was done.
    """
    whole = answer.get()
    if whole.finish_reason is None and (whole.provider_details or {}).get("finish_reason") in _NOT_OVER:
        raise ModelBrokeOffError
    calls: list[StreamPart] = [
        ToolCallDelta(part.tool_name, part.args_as_json_str()) for part in whole.parts if isinstance(part, ToolCallPart)
    ]
    usage = whole.usage
    counts = (usage.input_tokens, usage.output_tokens, usage.cache_read_tokens, usage.cache_write_tokens)
    if not any(counts):
        return calls
    return [*calls, UsageReport(*(min(int(count), _MAX_TOKENS) for count in counts))]


def _refused(error: Exception, *, has_begun: bool, provider: str, key: str) -> AppError:
    """Say in our words why there is no answer, or no more of one."""
    if isinstance(error, AppError):
        return error
    if _caused_by(error, httpx2.PoolTimeout):
        return ModelUnavailableError("As many answers of providers are under way here as there may be.")
    if _caused_by(error, *_TIMEOUTS):
        return ModelSilentError()
    if has_begun:
        return ModelBrokeOffError()
    if not isinstance(error, ModelHTTPError):
        return ModelUnavailableError(_quoted(_unanswered(_root(error), provider), key))
    status = error.status_code
    told = _quoted(f"The provider {provider!r} answered {status}: {_message_of(error.body)}", key)
    is_for_good = any(code in str(error.body) for code in _FOR_GOOD)
    if (status in _AGAIN or status >= _SERVERS_FAULT) and not is_for_good:
        return ModelUnavailableError(told, retry_after_s=_retry_after(error))
    return ModelRefusedError(f"{told} (admins set its key by PUT /api/config)" if status in _KEYS_FAULT else told)


def _unanswered(cause: BaseException, provider: str) -> str:
    """Tell apart who could not be reached, and whose answer could not be read."""
    if isinstance(cause, OSError | httpx2.ConnectError | OutgoingRefusedError):
        return f"The provider {provider!r} cannot be reached: {cause}"
    return f"The provider {provider!r} answered what cannot be read: {str(cause) or type(cause).__name__}"


def _message_of(body: object) -> str:
    """Take out of a refusal what is meant for people; all of it where that is not told apart."""
    told = body.get("error", body) if isinstance(body, Mapping) else body
    message = told.get("message") if isinstance(told, Mapping) else told
    return str(message or body)


def _retry_after(error: ModelHTTPError) -> float | None:
    told = (error.headers or {}).get("retry-after", "")
    return float(told) if told.replace(".", "", 1).isdecimal() else None


def _caused_by(error: BaseException | None, *kinds: type[BaseException]) -> bool:
    while error is not None:
        if isinstance(error, kinds):
            return True
        error = error.__cause__
    return False


def _root(error: BaseException) -> BaseException:
    while error.__cause__ is not None:
        error = error.__cause__
    return error


def _quoted(said: str, key: str) -> str:
    """Quote a provider as people may see it: without our key, which some repeat, and as text that can be stored."""
    return storable(said.replace(key, "…") if key else said)[:_MAX_QUOTED]
