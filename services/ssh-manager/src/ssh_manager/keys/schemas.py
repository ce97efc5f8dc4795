"""What goes out by HTTP."""

from datetime import datetime

from msgspec import Struct

from ssh_manager.keys.domain import Fingerprint, Rotated, Step


class FingerprintView(Struct, frozen=True):
    """What a public key hashes to; `verified`: and that is what was stored with it."""

    fingerprint: str
    algorithm: str
    verified: bool

    @classmethod
    def from_domain(cls, seen: Fingerprint) -> "FingerprintView":
        """Show a fingerprint."""
        return cls(seen.text, seen.algorithm, seen.is_verified)


class RotationView(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What became of a rotation; a failed one has a message only."""

    success: bool
    fingerprint: str = ""
    rotated_at: datetime | None = None
    message: str

    @classmethod
    def from_domain(cls, answer: Rotated | str) -> "RotationView":
        """Show what was made, or why nothing was."""
        if isinstance(answer, str):
            return cls(success=False, message=answer)
        message = "SSH key rotation completed successfully"
        if answer.rotation.step is not Step.DONE:
            message += "; the old key is removed once the instance keeps the new one"
        return cls(success=True, fingerprint=answer.fingerprint, rotated_at=answer.rotation.updated_at, message=message)
