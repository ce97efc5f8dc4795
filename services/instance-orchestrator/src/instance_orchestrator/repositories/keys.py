"""Sealed rows: keys of accounts and instances, host keys, pairing tokens. Each opens in its own place only."""

from collections.abc import Mapping
from datetime import datetime

from msgspec import Struct

from instance_orchestrator.domain.plans import AuthorizedKey, HostKey
from shoal.crypto import Envelope
from shoal.database import Transaction
from shoal.resealing import SealedColumn

KEY_CHECK = SealedColumn("key_check", "sealed", "instance_orchestrator/key_check/sealed")
_ACCOUNT_KEY = SealedColumn("account_key", "sealed", "instance_orchestrator/account_key/{account_id}/{name}")
_INSTANCE_KEY = SealedColumn("instance_key", "sealed", "instance_orchestrator/instance_key/{instance_id}/{name}")
_HOST_KEY = SealedColumn("host_key", "sealed", "instance_orchestrator/host_key/{instance_id}/private")
_PAIRING_TOKEN = SealedColumn("instance", "pairing_token", "instance_orchestrator/instance/{id}/pairing_token")
SEALED = (_ACCOUNT_KEY, _INSTANCE_KEY, _HOST_KEY, _PAIRING_TOKEN, KEY_CHECK)
"""What is sealed here, in its places."""


class _Sealed(Struct, frozen=True):
    name: str
    sealed: bytes


class KeyRepository:
    """Variables of accounts and of instances, sealed."""

    def __init__(self, tx: Transaction, envelope: Envelope) -> None:
        self._tx = tx
        self._envelope = envelope

    async def of_account(self, account_id: str) -> dict[str, str]:
        """Open an account's keys by name."""
        rows = await self._tx.all(
            _Sealed, "select name, sealed from account_key where account_id = $1 order by name", account_id
        )
        return {row.name: self._open(row.sealed, _ACCOUNT_KEY, account_id=account_id, name=row.name) for row in rows}

    async def of_instance(self, instance_id: int) -> dict[str, str]:
        """Open an instance's own keys by name."""
        rows = await self._tx.all(
            _Sealed, "select name, sealed from instance_key where instance_id = $1 order by name", instance_id
        )
        return {row.name: self._open(row.sealed, _INSTANCE_KEY, instance_id=instance_id, name=row.name) for row in rows}

    async def change_account(self, account_id: str, changes: Mapping[str, str | None]) -> None:
        """Set and remove an account's keys."""
        for name, key in changes.items():
            if key is None:
                await self._tx.execute("delete from account_key where account_id = $1 and name = $2", account_id, name)
                continue
            await self._tx.execute(
                """
                insert into account_key (account_id, name, sealed) values ($1, $2, $3)
                    on conflict (account_id, name) do update set sealed = excluded.sealed
                """,
                *(account_id, name, self._seal(key, _ACCOUNT_KEY, account_id=account_id, name=name)),
            )

    async def change_instance(self, instance_id: int, changes: Mapping[str, str | None]) -> None:
        """Set and remove an instance's own keys."""
        for name, key in changes.items():
            if key is None:
                await self._tx.execute(
                    "delete from instance_key where instance_id = $1 and name = $2", instance_id, name
                )
                continue
            await self._tx.execute(
                """
                insert into instance_key (instance_id, name, sealed) values ($1, $2, $3)
                    on conflict (instance_id, name) do update set sealed = excluded.sealed
                """,
                *(instance_id, name, self._seal(key, _INSTANCE_KEY, instance_id=instance_id, name=name)),
            )

    async def forget_instance(self, instance_id: int) -> None:
        """Delete every secret of an instance."""
        await self._tx.execute("delete from instance_key where instance_id = $1", instance_id)
        await self._tx.execute("delete from host_key where instance_id = $1", instance_id)
        await self._tx.execute("delete from ssh_key where instance_id = $1", instance_id)
        await self._tx.execute("update instance set pairing_token = null where id = $1", instance_id)

    async def forget_account(self, account_id: str) -> None:
        """Delete an account's keys."""
        await self._tx.execute("delete from account_key where account_id = $1", account_id)

    async def add_host_key(self, instance_id: int, key: HostKey) -> None:
        """Keep an instance's host key."""
        await self._tx.execute(
            "insert into host_key (instance_id, sealed, public_key) values ($1, $2, $3)",
            *(instance_id, self._seal(key.private, _HOST_KEY, instance_id=instance_id), key.public),
        )

    async def host_key(self, instance_id: int) -> HostKey | None:
        """Open an instance's host key; None once it was forgotten."""
        row = await self._tx.connection.fetchrow(
            "select sealed, public_key from host_key where instance_id = $1", instance_id
        )
        if row is None:
            return None
        return HostKey(self._open(row["sealed"], _HOST_KEY, instance_id=instance_id), row["public_key"])

    async def host_public_key(self, instance_id: int) -> str:
        """Read the public half of an instance's host key."""
        return str(await self._tx.value("select public_key from host_key where instance_id = $1", instance_id) or "")

    async def keep_offer(self, instance_id: int, pairing_id: str, token: str | None, until: datetime | None) -> None:
        """Keep the pairing that is held open for an instance's agent."""
        sealed = self._seal(token, _PAIRING_TOKEN, id=instance_id) if token else None
        await self._tx.execute(
            """
            update instance
               set pairing_id = $2, pairing_token = $3, pairing_expires_at = $4, is_paired = ($3::bytea is null)
             where id = $1
            """,
            *(instance_id, pairing_id, sealed, until),
        )

    async def offer(self, instance_id: int, *, good_for_s: int) -> str | None:
        """Open the pairing token of an instance if it can be redeemed for so long."""
        sealed: bytes | None = await self._tx.value(
            """
            select pairing_token
              from instance
             where id = $1 and pairing_expires_at > now() + make_interval(secs => $2)
            """,
            *(instance_id, good_for_s),
        )
        return None if sealed is None else self._open(sealed, _PAIRING_TOKEN, id=instance_id)

    def _seal(self, secret: str, column: SealedColumn, **row: object) -> bytes:
        return self._envelope.seal(secret.encode(), place=column.place.format(**row))

    def _open(self, sealed: bytes, column: SealedColumn, **row: object) -> str:
        return self._envelope.open(sealed, place=column.place.format(**row)).decode()


class SshKeyRepository:
    """A copy of the public keys by which ssh-manager signs in."""

    def __init__(self, tx: Transaction) -> None:
        self._tx = tx

    async def put(self, instance_id: int, key: AuthorizedKey) -> bool:
        """Take a key if it is newer than what is here; whether it was."""
        return bool(
            await self._tx.execute(
                """
                insert into ssh_key as kept (instance_id, public_key, fingerprint, version)
                values ($1, $2, $3, $4)
                    on conflict (instance_id) do update
                   set public_key = excluded.public_key, fingerprint = excluded.fingerprint,
                       version = excluded.version
                 where kept.version < excluded.version
                """,
                *(instance_id, key.line, key.fingerprint, key.version),
            )
        )

    async def find(self, instance_id: int) -> AuthorizedKey | None:
        """Read an instance's key."""
        return await self._tx.find(
            AuthorizedKey,
            "select public_key as line, fingerprint, version from ssh_key where instance_id = $1",
            instance_id,
        )

    async def is_unapplied(self, instance_id: int) -> bool:
        """Tell whether an instance has not been given its newest key yet."""
        return bool(
            await self._tx.value(
                "select true from ssh_key where instance_id = $1 and applied_version < version", instance_id
            )
        )

    async def mark_applied(self, instance_id: int, version: int) -> bool:
        """Note that an instance has a key; whether that is news."""
        return bool(
            await self._tx.execute(
                "update ssh_key set applied_version = $2 where instance_id = $1 and applied_version < $2",
                *(instance_id, version),
            )
        )
