"""Voice: settings, speech, and what browsers are told of a spoken conversation."""

import asyncio
from collections.abc import Mapping
from typing import Any

from msgspec import structs

from agent_runtime.ports import VOICE_SESSION, Configuration, Frame, Frames, Said, Topic
from agent_runtime.voice.clients import SpeechClient
from agent_runtime.voice.domain.loudness import Loudness, measure
from agent_runtime.voice.domain.settings import BROWSER, SpeechSettings, Voice, VoiceSettings, defaults_of
from agent_runtime.voice.domain.status import VoiceStatus, status_of
from agent_runtime.voice.errors import NothingToSayError, ProviderUnknownError, SpokenByBrowserError
from agent_runtime.voice.repositories import VoiceRepository
from shoal.database import Database, Transaction


class Voices:
    """Settings of spoken conversations, and speech of providers."""

    def __init__(self, database: Database, frames: Frames, configuration: Configuration, client: SpeechClient) -> None:
        self._database = database
        self._frames = frames
        self._configuration = configuration
        self._client = client

    async def get(self, account_id: str) -> Voice:
        """Read what an account set, or the defaults."""
        async with self._database.reading() as database:
            return await VoiceRepository(database).find(account_id) or Voice()

    async def change(self, account_id: str, given: Mapping[str, Any]) -> VoiceSettings:
        """Change the settings that are given; browsers are told of the wake word, which they show."""
        async with self._database.transaction() as tx:
            voices = VoiceRepository(tx)
            await voices.lock(account_id)
            voice = await voices.find(account_id) or Voice()
            settings = structs.replace(voice.settings, **given)
            await voices.put(account_id, structs.replace(voice, settings=settings))
        status = VoiceStatus(wake_word_enabled=settings.wake_word_enabled)
        await self._frames.publish(Frame.of(account_id, Topic.VOICE_STATUS, status))
        return settings

    async def tell(self, account_id: str, status: VoiceStatus) -> VoiceSettings:
        """Show an account's browsers how one's conversation stands, if it says anything; nothing of it is kept."""
        if status != VoiceStatus():
            await self._frames.publish(Frame.of(account_id, Topic.VOICE_STATUS, status))
        return (await self.get(account_id)).settings

    async def change_speech(self, account_id: str, given: Mapping[str, Any]) -> SpeechSettings:
        """Change who speaks, and how; another provider brings its own model and voice unless they are given.

        Raises:
            ProviderUnknownError: No such provider is configured.
        """
        provider = given.get("provider", BROWSER)
        if provider != BROWSER and await self._configuration.provider(account_id, provider) is None:
            raise ProviderUnknownError
        async with self._database.transaction() as tx:
            voices = VoiceRepository(tx)
            await voices.lock(account_id)
            voice = await voices.find(account_id) or Voice()
            is_other = "provider" in given and given["provider"] != voice.speech.provider
            before = defaults_of(given["provider"]) if is_other else voice.speech
            speech = structs.replace(before, **given)
            await voices.put(account_id, structs.replace(voice, speech=speech))
        return speech

    async def speak(self, account_id: str, text: str, *, voice: str | None, speed: float | None) -> bytes:
        """Make MP3 of a text, by the provider that is set.

        Raises:
            NothingToSayError: There is no text.
            SpokenByBrowserError: No provider is set.
            ProviderUnknownError: It is no longer configured, or not enabled.
            KeyMissingError: It has no key.
            SpeechFailedError: It made no speech of it.
        """
        if not text.strip():
            raise NothingToSayError
        speech = (await self.get(account_id)).speech
        if speech.provider == BROWSER:
            raise SpokenByBrowserError
        provider = await self._configuration.provider(account_id, speech.provider)
        if provider is None or not provider.is_enabled:
            raise ProviderUnknownError
        asked = structs.replace(
            speech, voice=speech.voice if voice is None else voice, speed=speech.speed if speed is None else speed
        )
        return await self._client.speak(text, asked, provider)

    async def erase(self, tx: Transaction, account_id: str) -> None:
        """Erase the settings of an account that is no more."""
        await VoiceRepository(tx).erase(account_id)


class SpokenFrames:
    """The way to browsers, which adds `voice:status` to what is said in the session `voice`."""

    def __init__(self, frames: Frames) -> None:
        self._frames = frames

    async def publish(self, frame: Frame) -> None:
        """Send a frame; after a message of a spoken conversation, how that stands."""
        await self._frames.publish(frame)
        if frame.topic != Topic.CHAT_MESSAGE:
            return
        said = Said.of(frame)
        if said.session_key == VOICE_SESSION:
            status = status_of(said.role, said.content)
            if status is not None:
                await self._frames.publish(Frame.of(frame.account_id, Topic.VOICE_STATUS, status))


async def loudness_of(sound: bytes, media_type: str) -> Loudness:
    """Tell how loud a recording is.

    Raises:
        NotSoundError: It cannot be read as sound.
    """
    # takes half a second for the largest that may be uploaded, 4 MiB of 8-bit samples
    return await asyncio.to_thread(measure, sound, media_type)
