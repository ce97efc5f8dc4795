"""Speech of providers: OpenAI's way of asking, and ElevenLabs'."""

import asyncio
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

import httpx2
import structlog

from agent_runtime.ports import Provider
from agent_runtime.voice.domain.settings import ELEVENLABS, SpeechSettings
from agent_runtime.voice.errors import KeyMissingError, SpeechFailedError
from shoal.outgoing import Outgoing, OutgoingRefusedError

DEADLINE_S = 60.0
MAX_AUDIO_BYTES = 25 * 1024 * 1024
_MAX_WORDS = 200


class SpeechClient:
    """Has providers speak text."""

    def __init__(self, outgoing: Outgoing) -> None:
        self._outgoing = outgoing

    async def speak(self, text: str, speech: SpeechSettings, provider: Provider) -> bytes:
        """Make MP3 of a text.

        Raises:
            KeyMissingError: The provider has no key.
            SpeechFailedError: It could not be asked, refused, or answered with something else.
        """
        if provider.api_key is None:
            raise KeyMissingError
        key = provider.api_key.reveal()
        if provider.name == ELEVENLABS:
            url = f"{provider.api_base}/v1/text-to-speech/{quote(speech.voice, safe='')}"
            return await self._ask(url, _for_elevenlabs(text, speech), {"xi-api-key": key})
        url = f"{provider.api_base}/audio/speech"
        return await self._ask(url, _for_openai(text, speech), {"authorization": f"Bearer {key}"})

    async def _ask(self, url: str, body: Mapping[str, Any], headers: Mapping[str, str]) -> bytes:
        wanted = {"accept": "audio/mpeg", "accept-encoding": "identity", **headers}
        try:
            async with (
                asyncio.timeout(DEADLINE_S),
                self._outgoing.client(timeout=DEADLINE_S) as client,
                client.stream("POST", url, json=body, headers=wanted) as answer,
            ):
                sound = bytearray()
                async for piece in answer.aiter_raw():
                    sound += piece
                    if len(sound) > MAX_AUDIO_BYTES:
                        raise SpeechFailedError("The provider's answer is too long.")
        except (httpx2.HTTPError, TimeoutError, OutgoingRefusedError) as error:
            structlog.get_logger().warning("speech_failed", error=type(error).__name__)
            raise SpeechFailedError("The provider does not answer.") from error
        if not answer.is_success:
            structlog.get_logger().warning("speech_refused", status=answer.status_code)
            raise SpeechFailedError(f"The provider answered {answer.status_code}.")
        kind = answer.headers.get("content-type", "")
        if not kind.startswith(("audio/", "application/octet-stream")):
            raise SpeechFailedError(f"The provider answered {kind[:_MAX_WORDS] or 'something'}, which is no sound.")
        return bytes(sound)


def _for_openai(text: str, speech: SpeechSettings) -> dict[str, Any]:
    return {
        "model": speech.model,
        "input": text,
        "voice": speech.voice,
        "speed": speech.speed,
        "response_format": "mp3",
    }


def _for_elevenlabs(text: str, speech: SpeechSettings) -> dict[str, Any]:
    settings = {"stability": 0.5, "similarity_boost": 0.75, "style": 0, "use_speaker_boost": True}
    return {"text": text, "model_id": speech.model, "voice_settings": settings}
