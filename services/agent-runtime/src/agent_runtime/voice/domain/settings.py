"""How an account speaks with its agents."""

from typing import Final

from msgspec import Struct

BROWSER: Final = "browser"
ELEVENLABS: Final = "elevenlabs"
OPENAI: Final = "openai"


class VoiceSettings(Struct, frozen=True, kw_only=True):
    """What the contract lets people set; browsers act on it. `language` is a BCP 47 tag."""

    enabled: bool = False
    wake_word_enabled: bool = False
    language: str = "en"
    echo_cancel: bool = True
    noise_suppression: bool = True
    push_to_talk: bool = False


class SpeechSettings(Struct, frozen=True, kw_only=True):
    """Who makes speech of text: the browser itself, or a configured provider."""

    provider: str = BROWSER
    model: str = ""
    voice: str = ""
    speed: float = 1.0


class Voice(Struct, frozen=True, kw_only=True):
    """Everything that an account set about voice."""

    settings: VoiceSettings = VoiceSettings()
    speech: SpeechSettings = SpeechSettings()


_DEFAULTS: Final = {
    BROWSER: SpeechSettings(),
    ELEVENLABS: SpeechSettings(provider=ELEVENLABS, model="eleven_multilingual_v2", voice="Rachel"),
    OPENAI: SpeechSettings(provider=OPENAI, model="tts-1", voice="alloy"),
}


def defaults_of(provider: str) -> SpeechSettings:
    """Give what a provider is asked for unless people say otherwise; others are taken to speak as OpenAI does."""
    return _DEFAULTS.get(provider) or SpeechSettings(provider=provider, model="tts-1", voice="alloy")
