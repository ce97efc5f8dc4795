"""HTTP: voice."""

from typing import Any

import msgspec
from litestar import Controller, Request, Response, get, post, put

from agent_runtime.voice.domain.loudness import NotSoundError
from agent_runtime.voice.schemas import (
    ChangeSettings,
    ChangeSpeech,
    ErrorInWords,
    MicrophoneView,
    Say,
    SettingsChangedView,
    SpeakerView,
    SpeechView,
    StatusToldView,
    StatusView,
    TellStatus,
)
from agent_runtime.voice.usecases import Voices, loudness_of
from shoal.errors import AppError
from shoal.http.auth import require_admin, require_user
from shoal.http.description import REFUSED_AS
from shoal.http.errors import respond
from shoal.identity import Principal

SOUND = (
    "audio/wav",
    "audio/x-wav",
    "audio/wave",
    "audio/vnd.wave",
    "audio/l16",
    "audio/pcm",
    "application/octet-stream",
)
MAX_SOUND_BYTES = 4 * 1024 * 1024
NO_MICROPHONE = "A server has no microphone: send a recording (WAV, or 16-bit PCM as audio/pcm) to have it measured."


def respond_in_words(request: Request[Any, Any, Any], error: AppError) -> Response[bytes]:
    """Answer with the reason as a text at `error`, where the web UI looks for it; the rest is as everywhere."""
    answer = respond(request, error)
    told = msgspec.json.decode(answer.content)
    told["code"], told["error"] = error.code, error.message
    answer.content = msgspec.json.encode(told)
    return answer


class VoiceController(Controller):
    """How the caller's account speaks with its agents."""

    path = "/api/voice"
    tags = ("voice",)
    guards = (require_user,)

    @get("/status", operation_id="getVoiceStatus", summary="Show voice status and settings")
    async def status(self, voices: Voices, principal: Principal) -> StatusView:
        """Show the settings and what they bring about."""
        return StatusView.from_domain(await voices.get(principal.account_id))

    @post("/status", operation_id="tellVoiceStatus", summary="Say how a spoken conversation stands", status_code=200)
    async def tell(self, data: TellStatus, voices: Voices, principal: Principal) -> StatusToldView:
        """Show the account's browsers what one hears and speaks."""
        return StatusToldView.from_told(data, await voices.tell(principal.account_id, data.to_status()))

    @put("/settings", operation_id="changeVoiceSettings", summary="Change voice settings")
    async def change(self, data: ChangeSettings, voices: Voices, principal: Principal) -> SettingsChangedView:
        """Change what is given; browsers are told of the wake word."""
        settings = await voices.change(principal.account_id, data.given)
        return SettingsChangedView(**msgspec.structs.asdict(SettingsChangedView.from_domain(settings)))

    @post("/test-mic", operation_id="testMicrophone", summary="Measure a recording", status_code=200,
          opt={"media_types": SOUND}, request_max_body_size=MAX_SOUND_BYTES)  # fmt: skip
    async def test_microphone(self, request: Request[Any, Any, Any]) -> MicrophoneView:
        """Tell how loud an uploaded recording is."""
        media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        body = await request.body()
        if media_type not in SOUND or not body:
            return MicrophoneView.unheard(NO_MICROPHONE)
        try:
            return MicrophoneView.from_domain(await loudness_of(body, media_type))
        except NotSoundError as error:
            return MicrophoneView.unheard(str(error))

    @post("/test-speaker", operation_id="testSpeaker", summary="Say where sound plays", status_code=200)
    async def test_speaker(self) -> SpeakerView:
        """Say that a server has no speaker."""
        return SpeakerView()

    @get("/tts/config", operation_id="getSpeech", summary="Show who makes speech of text")
    async def speech(self, voices: Voices, principal: Principal) -> SpeechView:
        """Show provider, model, voice and speed."""
        return SpeechView.from_domain((await voices.get(principal.account_id)).speech)

    @put("/tts/config", operation_id="changeSpeech", summary="Change who makes speech of text", guards=[require_admin],
         exception_handlers={AppError: respond_in_words}, opt={REFUSED_AS: ErrorInWords})  # fmt: skip
    async def change_speech(self, data: ChangeSpeech, voices: Voices, principal: Principal) -> SpeechView:
        """Change what is given; another provider brings its own model and voice."""
        return SpeechView.from_domain(await voices.change_speech(principal.account_id, data.given))

    @post("/tts", operation_id="speak", summary="Make speech of text", status_code=200, media_type="audio/mpeg",
          exception_handlers={AppError: respond_in_words}, opt={REFUSED_AS: ErrorInWords})  # fmt: skip
    async def speak(self, data: Say, voices: Voices, principal: Principal) -> Response[bytes]:
        """Answer the text as MP3."""
        sound = await voices.speak(principal.account_id, data.text, voice=data.voice, speed=data.speed)
        return Response(sound, media_type="audio/mpeg", headers={"cache-control": "no-cache"})
