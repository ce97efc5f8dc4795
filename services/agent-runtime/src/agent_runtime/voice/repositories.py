"""SQL of voice settings, and nothing else."""

from msgspec import Struct

from agent_runtime.voice.domain.settings import SpeechSettings, Voice, VoiceSettings
from shoal.database import Transaction


class _Row(Struct, frozen=True):
    enabled: bool
    wake_word_enabled: bool
    language: str
    echo_cancel: bool
    noise_suppression: bool
    push_to_talk: bool
    tts_provider: str
    tts_model: str
    tts_voice: str
    tts_speed: float


class VoiceRepository:
    """Rows of `voice_setting`, one per account that set something."""

    def __init__(self, tx: Transaction) -> None:
        self._tx = tx

    async def find(self, account_id: str) -> Voice | None:
        """Read what an account set; None where it set nothing."""
        row = await self._tx.find(
            _Row,
            """
            select enabled, wake_word_enabled, language, echo_cancel, noise_suppression, push_to_talk,
                   tts_provider, tts_model, tts_voice, tts_speed
              from voice_setting
             where account_id = $1
            """,
            account_id,
        )
        if row is None:
            return None
        return Voice(
            settings=VoiceSettings(
                enabled=row.enabled,
                wake_word_enabled=row.wake_word_enabled,
                language=row.language,
                echo_cancel=row.echo_cancel,
                noise_suppression=row.noise_suppression,
                push_to_talk=row.push_to_talk,
            ),
            speech=SpeechSettings(
                provider=row.tts_provider, model=row.tts_model, voice=row.tts_voice, speed=row.tts_speed
            ),
        )

    async def lock(self, account_id: str) -> None:
        """Let changes to an account's settings follow each other, also the first."""
        await self._tx.value("select pg_advisory_xact_lock(hashtextextended($1, 4))", account_id)

    async def put(self, account_id: str, voice: Voice) -> None:
        """Store what an account set, in place of what was there."""
        settings, speech = voice.settings, voice.speech
        await self._tx.execute(
            """
            insert into voice_setting (account_id, enabled, wake_word_enabled, language, echo_cancel,
                                       noise_suppression, push_to_talk,
                                       tts_provider, tts_model, tts_voice, tts_speed)
            values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
                on conflict (account_id) do update
               set enabled = excluded.enabled, wake_word_enabled = excluded.wake_word_enabled,
                   language = excluded.language, echo_cancel = excluded.echo_cancel,
                   noise_suppression = excluded.noise_suppression, push_to_talk = excluded.push_to_talk,
                   tts_provider = excluded.tts_provider, tts_model = excluded.tts_model,
                   tts_voice = excluded.tts_voice, tts_speed = excluded.tts_speed, updated_at = now()
            """,
            *(account_id, settings.enabled, settings.wake_word_enabled, settings.language),
            *(settings.echo_cancel, settings.noise_suppression, settings.push_to_talk),
            *(speech.provider, speech.model, speech.voice, speech.speed),
        )

    async def erase(self, account_id: str) -> None:
        """Delete an account's settings."""
        await self._tx.execute("delete from voice_setting where account_id = $1", account_id)
