"""HTTP: keys of instances."""

from litestar import Controller, get, post

from shoal.http.auth import require_admin, require_user
from shoal.identity import Principal
from ssh_manager.keys.schemas import FingerprintView, RotationView
from ssh_manager.keys.usecases.keys import Keys
from ssh_manager.keys.usecases.requests import RotationRequests
from ssh_manager.ports import Access


class KeyController(Controller):
    """The key by which this service signs in to an instance."""

    path = "/api/v1/instances/{instance_id:str}"
    tags = ("ssh",)
    guards = (require_user,)

    @get("/ssh-fingerprint", operation_id="getSshFingerprint", summary="Show the key's fingerprint")
    async def fingerprint(self, instance_id: str, access: Access, keys: Keys, principal: Principal) -> FingerprintView:
        """Compute the fingerprint of the stored public key, and compare it with the stored fingerprint."""
        return FingerprintView.from_domain(await keys.fingerprint(await access.instance(principal, instance_id)))

    @post(
        "/rotate-ssh-key",
        operation_id="rotateSshKey",
        summary="Replace the key",
        guards=[require_admin],
        status_code=200,
    )
    async def rotate(
        self, instance_id: str, access: Access, rotation_requests: RotationRequests, principal: Principal
    ) -> RotationView:
        """Replace the key by a new one that was proved to sign in; the old one is refused afterwards."""
        instance = await access.instance(principal, instance_id)
        return RotationView.from_domain(await rotation_requests.rotate(instance, principal))
