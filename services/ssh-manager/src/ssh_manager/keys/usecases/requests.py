"""Rotations that people ask for."""

from datetime import timedelta

from shoal.identity import Principal
from ssh_manager.errors import AddressRestrictedError, KeyTamperedError
from ssh_manager.keys.domain import Rotated
from ssh_manager.keys.errors import RotationFailedError, RotationOpenError
from ssh_manager.keys.usecases.rotations import Rotations
from ssh_manager.ports import Actor, AllowedAddresses, Instance

WITHIN = timedelta(seconds=10)
"""How long is waited for the end of the old key before the answer goes out without it."""


class RotationRequests:
    """Answer those who want a key replaced."""

    def __init__(self, *, rotations: Rotations, addresses: AllowedAddresses, patience: timedelta) -> None:
        self._rotations = rotations
        self._patience = patience
        self._addresses = addresses

    async def rotate(self, instance: Instance, principal: Principal) -> Rotated | str:
        """Replace an instance's key; returns what was made, or why nothing was.

        Raises:
            NoSshKeyError: There is none.
            NotConnectedError: The instance is not connected, and was not within the time that is waited for that.
            RotationNotRecordedError: The database failed at the decisive step.
            AuditUnavailableError: It could not be written down.
        """
        try:
            await self._addresses.check(principal, instance)
            begun = await self._rotations.begin(instance, by=Actor.of(principal), patience=self._patience)
            return await self._rotations.settled(begun, within=WITHIN)
        except (AddressRestrictedError, KeyTamperedError) as error:
            return error.message
        except (RotationFailedError, RotationOpenError) as error:
            return f"Key rotation failed: {error}"
