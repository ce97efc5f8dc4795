"""Meanings of texts, as models of providers tell them: an extra that memory does well without."""

import math
from typing import Annotated, Protocol

import httpx2
import msgspec
import structlog
from msgspec import Meta, Struct

from agent_runtime.memory.domain import Meaning
from agent_runtime.ports import Configuration, ModelName
from shoal.crypto import EnvelopeError
from shoal.outgoing import AnswerTooLargeError, Outgoing, OutgoingRefusedError, read

DEADLINE_S = 3.0
_MAX_BYTES = 512 * 1024


class Meanings(Protocol):
    """Tells what texts mean."""

    async def of(self, account_id: str, text: str) -> Meaning | None:
        """Tell what a text means; None where nobody can tell just now."""
        ...


class NoMeanings:
    """Tells no meanings: memory goes by words alone."""

    async def of(self, account_id: str, text: str) -> Meaning | None:  # noqa: ARG002 - the protocol's
        """Give None, as where a model does not answer."""
        return None


class _Embedding(Struct, frozen=True):
    embedding: Annotated[list[float], Meta(min_length=1, max_length=4096)]


class _Answer(Struct, frozen=True):
    data: Annotated[list[_Embedding], Meta(min_length=1)]


class Embeddings:
    """Asks an account's provider, the way OpenAI's is asked.

    Args:
        model: `provider/model`; accounts that have not configured the provider, or gave it no key, go without.
        configuration: Knows the providers.
        outgoing: Makes the client.
    """

    def __init__(self, model: str, *, configuration: Configuration, outgoing: Outgoing) -> None:
        self._model = ModelName.parse(model)
        self._configuration = configuration
        self._outgoing = outgoing

    async def of(self, account_id: str, text: str) -> Meaning | None:
        """Tell what a text means; None when the provider is not there, or does not answer in time, which is logged."""
        try:
            provider = await self._configuration.provider(account_id, self._model.provider)
            if provider is None or not provider.is_enabled or provider.api_key is None:
                return None
            headers = {"authorization": f"Bearer {provider.api_key.reveal()}"}
            body = {"model": self._model.name, "input": text, "encoding_format": "float"}
            async with self._outgoing.client(timeout=DEADLINE_S) as client:
                url = f"{provider.api_base}/embeddings"
                answer = await read(
                    client, url, max_bytes=_MAX_BYTES, deadline_s=DEADLINE_S, headers=headers, body=body
                )
            told = msgspec.json.decode(answer.raise_for_status().content, type=_Answer)
        except (
            *(httpx2.HTTPError, TimeoutError, AnswerTooLargeError, OutgoingRefusedError, EnvelopeError),
            *(msgspec.DecodeError, UnicodeDecodeError),
        ) as error:
            structlog.get_logger().warning("meaning_not_told", model=str(self._model), error=type(error).__name__)
            return None
        return _unit(self._model.name, told.data[0].embedding)


def _unit(model: str, vector: list[float]) -> Meaning | None:
    length = math.hypot(*vector)
    return Meaning(model, tuple(number / length for number in vector)) if length and math.isfinite(length) else None
