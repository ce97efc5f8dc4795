"""How a spoken conversation stands, as browsers show it to each other."""

from enum import StrEnum

from msgspec import UNSET, Struct, UnsetType


class Speaking(StrEnum):
    """What a spoken conversation is at, as the browser that holds it says."""

    IDLE = "idle"
    LISTENING = "listening"
    PROCESSING = "processing"
    SPEAKING = "speaking"


class VoiceStatus(Struct, frozen=True, kw_only=True, rename="camel"):
    """The payload of `voice:status`: what there is to say; browsers keep what it leaves out.

    Args:
        state: What the conversation is at.
        transcript: What somebody said to the agent; None clears it.
        response: What the agent said; None clears it.
        wake_word_enabled: Whether browsers listen for the wake word.
    """

    state: Speaking | UnsetType = UNSET
    transcript: str | UnsetType | None = UNSET
    response: str | UnsetType | None = UNSET
    wake_word_enabled: bool | UnsetType = UNSET


def status_of(role: str, content: str) -> VoiceStatus | None:
    """Tell how a conversation stands after a message; None where a message of this role says nothing of it."""
    match role:
        case "user":
            return VoiceStatus(state=Speaking.PROCESSING, transcript=content)
        case "assistant":
            return VoiceStatus(state=Speaking.SPEAKING, response=content)
    return None
