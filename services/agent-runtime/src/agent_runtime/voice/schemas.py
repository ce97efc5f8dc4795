"""Answers and bodies of voice, spelled as the contract has them."""

from typing import Annotated

from msgspec import UNSET, Meta, Struct, UnsetType

from agent_runtime.voice.domain.loudness import Loudness
from agent_runtime.voice.domain.settings import SpeechSettings, Voice, VoiceSettings
from agent_runtime.voice.domain.status import Speaking, VoiceStatus

Language = Annotated[str, Meta(min_length=2, max_length=35, pattern=r"^[A-Za-z]{2,8}(-[A-Za-z0-9]{1,8})*\Z")]
Name = Annotated[str, Meta(min_length=1, max_length=128)]
Speed = Annotated[float, Meta(ge=0.25, le=4)]
MAX_TEXT = 4096
Said = Annotated[str, Meta(max_length=32_000)] | None


class SettingsView(Struct, frozen=True, kw_only=True, rename="camel"):
    """The settings of a spoken conversation."""

    enabled: bool
    wake_word_enabled: bool
    language: str
    echo_cancel: bool
    noise_suppression: bool
    push_to_talk: bool

    @classmethod
    def from_domain(cls, settings: VoiceSettings) -> "SettingsView":
        """Show what an account set."""
        return cls(
            enabled=settings.enabled,
            wake_word_enabled=settings.wake_word_enabled,
            language=settings.language,
            echo_cancel=settings.echo_cancel,
            noise_suppression=settings.noise_suppression,
            push_to_talk=settings.push_to_talk,
        )


class SettingsChangedView(SettingsView, frozen=True, kw_only=True, rename="camel"):
    """Answer of `PUT /api/voice/settings`."""

    success: bool = True


class StatusView(Struct, frozen=True, kw_only=True, rename="camel"):
    """Answer of `GET /api/voice/status`. What is being heard or spoken is the browser's to know: here it is idle."""

    state: Speaking = Speaking.IDLE
    talk_mode_active: bool = False
    """Never: nobody's microphone is opened because somebody else talks."""
    wake_word_enabled: bool
    settings: SettingsView

    @classmethod
    def from_domain(cls, voice: Voice) -> "StatusView":
        """Show how an account speaks."""
        return cls(
            wake_word_enabled=voice.settings.wake_word_enabled, settings=SettingsView.from_domain(voice.settings)
        )


class TellStatus(Struct, frozen=True, kw_only=True, rename="camel"):
    """Body of `POST /api/voice/status`: how a browser's conversation stands, as far as it says."""

    state: Speaking | UnsetType = UNSET
    transcript: Said | UnsetType = UNSET
    response: Said | UnsetType = UNSET
    talk_mode_active: bool | UnsetType = UNSET

    def to_status(self) -> VoiceStatus:
        """Make what other browsers are shown: all but `talk_mode_active`, which is its own matter."""
        return VoiceStatus(state=self.state, transcript=self.transcript, response=self.response)


class StatusToldView(Struct, frozen=True, kw_only=True, rename="camel"):
    """Answer of `POST /api/voice/status`: what was said, and the wake word."""

    success: bool = True
    state: Speaking
    talk_mode_active: bool
    wake_word_enabled: bool

    @classmethod
    def from_told(cls, told: TellStatus, settings: VoiceSettings) -> "StatusToldView":
        """Show what a browser said of itself."""
        return cls(
            state=told.state or Speaking.IDLE,
            talk_mode_active=told.talk_mode_active is True,
            wake_word_enabled=settings.wake_word_enabled,
        )


class ChangeSettings(Struct, frozen=True, kw_only=True, rename="camel"):
    """Body of `PUT /api/voice/settings`: what it does not hold stays."""

    enabled: bool | UnsetType = UNSET
    wake_word_enabled: bool | UnsetType = UNSET
    language: Language | UnsetType = UNSET
    echo_cancel: bool | UnsetType = UNSET
    noise_suppression: bool | UnsetType = UNSET
    push_to_talk: bool | UnsetType = UNSET

    @property
    def given(self) -> dict[str, bool | str]:
        """The fields that were given, by our names."""
        return {name: value for name in self.__struct_fields__ if (value := getattr(self, name)) is not UNSET}


class SpeechView(Struct, frozen=True):
    """Answer of `GET|PUT /api/voice/tts/config`."""

    provider: str
    model: str
    voice: str
    speed: float

    @classmethod
    def from_domain(cls, speech: SpeechSettings) -> "SpeechView":
        """Show who speaks."""
        return cls(speech.provider, speech.model, speech.voice, speech.speed)


class ChangeSpeech(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Body of `PUT /api/voice/tts/config`: what it does not hold stays."""

    provider: Name | UnsetType = UNSET
    model: Name | UnsetType = UNSET
    voice: Name | UnsetType = UNSET
    speed: Speed | UnsetType = UNSET

    @property
    def given(self) -> dict[str, str | float]:
        """The fields that were given."""
        return {name: value for name in self.__struct_fields__ if (value := getattr(self, name)) is not UNSET}


class Say(Struct, frozen=True, kw_only=True):
    """Body of `POST /api/voice/tts`."""

    text: Annotated[str, Meta(max_length=MAX_TEXT)]
    voice: Name | None = None
    speed: Speed | None = None


class MicrophoneView(Struct, frozen=True, kw_only=True):
    """Answer of `POST /api/voice/test-mic`; without uploaded sound there is nothing to measure."""

    success: bool
    level: float
    message: str
    peak: float = 0.0
    duration_ms: float = 0.0

    @classmethod
    def from_domain(cls, loudness: Loudness) -> "MicrophoneView":
        """Show how loud uploaded sound is."""
        message = "Nothing is to be heard in it." if loudness.is_silent else "Measured in the uploaded sound."
        return cls(
            success=not loudness.is_silent,
            level=loudness.level,
            message=message,
            peak=loudness.peak,
            duration_ms=loudness.duration_ms,
        )

    @classmethod
    def unheard(cls, message: str) -> "MicrophoneView":
        """Say that nothing was measured, and why."""
        return cls(success=False, level=0.0, message=message)


class SpeakerView(Struct, frozen=True, kw_only=True):
    """Answer of `POST /api/voice/test-speaker`."""

    success: bool = False
    message: str = "A server has no speaker: sound plays in the browser, from POST /api/voice/tts or its own voice."


class ErrorInWords(Struct, frozen=True):
    """A refusal whose reason is a text at `error`, where the web UI looks for it."""

    detail: str
    error: str
    code: str
    request_id: str
