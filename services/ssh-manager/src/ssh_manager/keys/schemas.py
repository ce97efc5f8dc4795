"""What goes out by HTTP."""

from datetime import datetime

from msgspec import Struct

from ssh_manager.keys.domain import Fingerprint, Step
from ssh_manager.keys.usecases.rotations import Rotated


class FingerprintView(Struct, frozen=True):
    """What a public key hashes to; `verified`: and that is what was stored with it."""

    fingerprint: str
    algorithm: str
    verified: bool

    @classmethod
    def from_domain(cls, seen: Fingerprint) -> "FingerprintView":
        """Show a fingerprint."""
        return cls(seen.text, seen.algorithm, seen.is_verified)


class RotationView(Struct, frozen=True):
    """What became of a rotation."""

    success: bool
    fingerprint: str
    rotated_at: datetime | None
    message: str

    @classmethod
    def from_domain(cls, rotated: Rotated) -> "RotationView":
        """Show a successful rotation."""
        message = "SSH key rotation completed successfully"
        if rotated.rotation.step is not Step.DONE:
            message += "; the old key is removed once the instance keeps the new one"
        return cls(True, rotated.fingerprint, rotated.rotation.updated_at, message)

    @classmethod
    def failed(cls, reason: str) -> "RotationView":
        """Show why a key was not replaced."""
        return cls(False, "", None, reason)
