"""Voice: settings, speech of providers, and how loud a recording is."""

import asyncio
import math
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from recordings import recording
from runtime_corner import Corner
from runtime_door import Door
from runtime_sockets import wire
from speech_provider import SpeechProvider

from agent_runtime.voice.controllers import MAX_SOUND_BYTES
from agent_runtime.voice.usecases import loudness_of
from shoal.testing.suite import user

pytestmark = pytest.mark.asyncio(loop_scope="module")

SETTINGS = {"SHOAL_OUTGOING_ALLOWED": "127.0.0.0/8"}
DEFAULTS = {
    "enabled": False, "wakeWordEnabled": False, "language": "en", "echoCancel": True, "noiseSuppression": True,
    "pushToTalk": False,
}  # fmt: skip


async def test_settings_are_merged_kept_and_told(door: Corner) -> None:
    status = (await door.alice.get("/api/voice/status")).json()
    assert status == {"state": "idle", "talkModeActive": False, "wakeWordEnabled": False, "settings": DEFAULTS}
    async with wire(door.service, door.who) as page:
        await page.hear("connected")
        changed = await door.alice.put("/api/voice/settings", json={"language": "de-DE", "wakeWordEnabled": True})
        assert changed.json() == DEFAULTS | {"language": "de-DE", "wakeWordEnabled": True, "success": True}
        frame = await page.hear("voice:status")
        assert (frame["topic"], frame["data"]) == ("voice:status", {"wakeWordEnabled": True})
    await door.alice.put("/api/voice/settings", json={"pushToTalk": True})
    status = (await door.alice.get("/api/voice/status")).json()
    assert status["wakeWordEnabled"] is True
    assert status["settings"] == DEFAULTS | {"language": "de-DE", "wakeWordEnabled": True, "pushToTalk": True}
    assert (await door.stranger.get("/api/voice/status")).json()["settings"] == DEFAULTS
    for wrong in ({"language": 5}, {"language": "no language"}, {"enabled": "yes"}):
        assert (await door.alice.put("/api/voice/settings", json=wrong)).status_code == 400


async def test_status_that_a_browser_tells_is_shown_and_opens_nobodys_microphone(door: Corner) -> None:
    payload = {"state": "listening", "talkModeActive": True, "transcript": "Hello", "response": None}
    async with wire(door.service, user(door.account_id, "user_beside")) as page:
        await page.hear("connected")
        answer = await door.alice.post("/api/voice/status", json=payload)
        assert answer.json() == {
            "success": True, "state": "listening", "talkModeActive": True, "wakeWordEnabled": False,
        }  # fmt: skip
        shown = {"state": "listening", "transcript": "Hello", "response": None}
        for kind in ("voice:status", "event"):
            frame = await page.hear(kind)
            assert (frame["topic"], frame["data"]) == ("voice:status", shown)
    assert (await door.alice.get("/api/voice/status")).json()["talkModeActive"] is False
    for wrong in ({"state": "shouting"}, {"transcript": 5}, {"talkModeActive": "yes"}):
        assert (await door.alice.post("/api/voice/status", json=wrong)).status_code == 400


async def test_microphone_is_measured_from_an_upload_and_never_invented(door: Corner) -> None:
    heard = await door.alice.post("/api/voice/test-mic", content=recording(0.8), headers={"content-type": "audio/wav"})
    assert heard.json()["success"] is True
    assert heard.json()["level"] == pytest.approx(0.8 / math.sqrt(2), abs=0.02)
    silent = await door.alice.post("/api/voice/test-mic", content=recording(0), headers={"content-type": "audio/wav"})
    assert (silent.json()["success"], silent.json()["level"]) == (False, 0.0)
    for content, kind in ((b"", "application/json"), (b"{}", "application/json"), (b"RIFF", "audio/wav")):
        answer = await door.alice.post("/api/voice/test-mic", content=content, headers={"content-type": kind})
        assert answer.status_code == 200
        assert (answer.json()["success"], answer.json()["level"]) == (False, 0.0)
        assert answer.json()["message"]
    speaker = (await door.alice.post("/api/voice/test-speaker")).json()
    assert speaker["success"] is False
    assert speaker["message"]


async def test_measuring_the_largest_recording_holds_nobody_up() -> None:
    measuring = asyncio.create_task(loudness_of(bytes(MAX_SOUND_BYTES), "audio/l16"))
    turns = 0
    while not measuring.done():
        await asyncio.sleep(0.001)
        turns += 1
    assert measuring.result().is_silent
    assert turns > 1


@pytest_asyncio.fixture(loop_scope="module")
async def door(shared_door: Door) -> Corner:
    """The shared service, for accounts of the test's own."""
    return Corner(shared_door)


@pytest_asyncio.fixture(loop_scope="module")
async def provider() -> AsyncIterator[SpeechProvider]:
    async with SpeechProvider() as made:
        yield made


@pytest_asyncio.fixture(loop_scope="module")
async def spoken(door: Corner, provider: SpeechProvider) -> Corner:
    """An account whose providers are the double."""
    base = {"enabled": True, "api_base": provider.url}
    config = {
        "agents": {"defaults": {"model": "offline/rules", "max_tokens": 4096, "temperature": 0.7}},
        "providers": {"openai": base | {"api_key": "sk-1"}, "elevenlabs": base | {"api_key": "xi-1"}, "keyless": base},
        "channels": {},
        "gateway": {"api_port": 8080, "api_enabled": True},
    }
    answer = await door.admin.put("/api/config", json=config)
    assert answer.status_code == 200, answer.text
    return door


async def test_browser_speaks_unless_a_provider_is_chosen(door: Corner) -> None:
    told = (await door.alice.get("/api/voice/tts/config")).json()
    assert told == {"provider": "browser", "model": "", "voice": "", "speed": 1.0}
    refused = await door.alice.post("/api/voice/tts", json={"text": "Hello"})
    assert refused.status_code == 400
    assert (
        refused.json()["error"] == refused.json()["detail"] == "The browser itself speaks: the provider is `browser`."
    )
    unknown = await door.admin.put("/api/voice/tts/config", json={"provider": "nobody"})
    assert (unknown.status_code, unknown.json()["code"]) == (400, "provider_unknown")


async def test_admins_choose_who_speaks(door: Corner) -> None:
    refused = await door.alice.put("/api/voice/tts/config", json={"speed": 2.0})
    assert (refused.status_code, refused.json()["code"]) == (403, "forbidden")
    assert (await door.alice.get("/api/voice/tts/config")).json()["speed"] == 1.0


async def test_what_openai_speaks_is_passed_on_in_the_chosen_voice(spoken: Corner, provider: SpeechProvider) -> None:
    chosen = await spoken.admin.put("/api/voice/tts/config", json={"provider": "openai", "speed": 1.25})
    assert chosen.json() == {"provider": "openai", "model": "tts-1", "voice": "alloy", "speed": 1.25}
    said = await spoken.alice.post("/api/voice/tts", json={"text": "Hello", "voice": "nova"})
    assert said.status_code == 200
    assert (said.headers["content-type"], said.headers["cache-control"]) == ("audio/mpeg", "no-cache")
    assert said.content == provider.SOUND
    (asked,) = provider.asked
    assert (asked.path, asked.headers["authorization"]) == ("/audio/speech", "Bearer sk-1")
    assert asked.body == {
        "model": "tts-1", "input": "Hello", "voice": "nova", "speed": 1.25, "response_format": "mp3",
    }  # fmt: skip


async def test_what_elevenlabs_speaks_is_passed_on_by_its_own_protocol(
    spoken: Corner, provider: SpeechProvider
) -> None:
    await spoken.admin.put("/api/voice/tts/config", json={"provider": "elevenlabs"})
    assert (await spoken.alice.post("/api/voice/tts", json={"text": "Hello"})).content == provider.SOUND
    (asked,) = provider.asked
    assert (asked.path, asked.headers["xi-api-key"]) == ("/v1/text-to-speech/Rachel", "xi-1")
    assert (asked.body["text"], asked.body["model_id"]) == ("Hello", "eleven_multilingual_v2")


async def test_what_keeps_a_provider_from_speaking_is_told_in_words(spoken: Corner, provider: SpeechProvider) -> None:
    async def refusal(text: str, said_by: str) -> tuple[int, str]:
        await spoken.admin.put("/api/voice/tts/config", json={"provider": said_by})
        answer = await spoken.alice.post("/api/voice/tts", json={"text": text})
        assert isinstance(answer.json()["error"], str)
        return answer.status_code, answer.json()["code"]

    assert await refusal("  ", "openai") == (400, "nothing_to_say")
    assert await refusal("Hello", "keyless") == (500, "key_missing")
    provider.status = 429
    assert await refusal("Hello", "openai") == (502, "speech_failed")
    provider.status, provider.media_type = 200, "text/html"
    assert await refusal("Hello", "openai") == (502, "speech_failed")
    assert (await spoken.alice.post("/api/voice/tts", json={"text": "x", "speed": 9})).status_code == 400
    assert (await spoken.nobody.post("/api/voice/tts", json={"text": "x"})).status_code == 401
