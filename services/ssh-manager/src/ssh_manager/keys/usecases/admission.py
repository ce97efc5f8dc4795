"""Which keys an instance lets in, changed and proved over SSH."""

import contextlib

import asyncssh

from ssh_manager.dialing import DialError, Dialing, HostKeyMismatchError, KeyRefusedError, prove, reason_of
from ssh_manager.errors import NotConnectedError
from ssh_manager.keys.clients import authorize, withdraw
from ssh_manager.keys.domain import StoredKey
from ssh_manager.keys.errors import AdmissionError, AdmissionInterruptedError
from ssh_manager.keys.usecases.keys import Keys
from ssh_manager.ports import Identity, Instance, Links

PROOF_S = 10.0
SSH_ERRORS = (OSError, TimeoutError, asyncssh.Error)


class Admission:
    """Lets keys in to instances, and no longer in; every method can be repeated."""

    def __init__(self, *, keys: Keys, links: Links, dialing: Dialing) -> None:
        self._keys = keys
        self._links = links
        self._dialing = dialing

    async def let_in(self, instance: Instance, key: StoredKey) -> None:
        """Let a key in beside the others, over the standing connection.

        Raises:
            NotConnectedError: There is none.
            AdmissionInterruptedError: It was lost.
            AdmissionError: That failed.
        """
        connection = self._links.connection(instance.id)
        try:
            await authorize(connection, key.public_key)
        except SSH_ERRORS as error:
            failed = AdmissionInterruptedError if connection.is_closed() else AdmissionError
            raise failed(reason_of(error)) from error

    async def prove(self, instance: Instance, version: int) -> None:
        """Sign in with a key on a connection of its own, against the pinned host key.

        Raises:
            NotConnectedError: The instance is away.
            AdmissionInterruptedError: It went away meanwhile.
            AdmissionError: The key does not sign in.
        """
        self._links.connection(instance.id)
        identity = await self._identity(instance, version)
        try:
            async with await self._dialing.dial(instance, [identity]) as connection:
                await prove(connection, within_s=PROOF_S)
        except (HostKeyMismatchError, KeyRefusedError) as error:
            raise AdmissionError(reason_of(error)) from error
        except (DialError, ConnectionError, asyncssh.DisconnectError) as error:
            raise AdmissionInterruptedError(reason_of(error)) from error
        except SSH_ERRORS as error:
            raise AdmissionError(reason_of(error)) from error

    async def shut_out(self, instance: Instance, key: StoredKey) -> None:
        """Let a key in no longer, over the standing connection.

        Raises:
            NotConnectedError: There is none.
            AdmissionError: That failed.
        """
        connection = self._links.connection(instance.id)
        try:
            await withdraw(connection, key.public_key)
        except SSH_ERRORS as error:
            raise AdmissionError(reason_of(error)) from error

    async def shut_out_as(self, version: int, instance: Instance, key: StoredKey) -> None:
        """Let a key in no longer, over a connection that another one opened: that one is let in for certain.

        Raises:
            AdmissionError: That failed.
        """
        identity = await self._identity(instance, version)
        try:
            async with await self._dialing.dial(instance, [identity]) as connection:
                await withdraw(connection, key.public_key)
        except (DialError, *SSH_ERRORS) as error:
            raise AdmissionError(reason_of(error)) from error

    async def connect_anew(self, instance: Instance) -> None:
        """Replace the standing connection; where that cannot be done now, it is made by itself."""
        with contextlib.suppress(NotConnectedError):
            await self._links.reconnect(instance.id)

    async def _identity(self, instance: Instance, version: int) -> Identity:
        identity = await self._keys.identity(instance, version)
        if identity is None:
            raise AdmissionError("the key is not as it was stored")
        return identity
