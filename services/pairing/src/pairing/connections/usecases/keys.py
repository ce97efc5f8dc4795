"""What agents prove themselves with: their keys, and connect tokens."""

from pairing.connections.domain.agents import (
    CONNECT_TOKEN_PREFIX,
    KEY_PREFIX,
    SHOWN_OF_KEY,
    Agent,
    AgentKey,
    IssuedKey,
)
from pairing.connections.errors import KeyRevokedError, NoSuchKeyError
from pairing.connections.repositories.agents import AgentRepository
from pairing.connections.repositories.keys import AgentKeyRepository
from shoal.database import Database
from shoal.identity import Principal, Via
from shoal.ids import fingerprint, new_id, new_secret


class AgentKeys:
    """Make, list, revoke and recognise what agents come in with."""

    def __init__(self, *, database: Database) -> None:
        self._database = database

    async def create(self, name: str, label: str, *, by: Principal) -> tuple[Agent, IssuedKey]:
        """Make a key for one of the account's agents.

        Raises:
            NoSuchAgentError: The account has no such agent.
        """
        secret = new_secret(KEY_PREFIX)
        async with self._database.transaction() as tx:
            agent = await AgentRepository(tx).lock(name, account_id=by.account_id)
            key = await AgentKeyRepository(tx).insert(
                new_id("akey"),
                agent_uuid=agent.id,
                account_id=agent.account_id,
                name=label,
                prefix=secret[:SHOWN_OF_KEY],
                secret_hash=fingerprint(secret),
            )
        return agent, IssuedKey(key, secret)

    async def list_for(self, name: str, *, by: Principal) -> tuple[Agent, list[AgentKey]]:
        """List the good keys of one of the account's agents, oldest first.

        Raises:
            NoSuchAgentError: The account has no such agent.
        """
        async with self._database.reading() as database:
            agent = await AgentRepository(database).get(name, account_id=by.account_id)
            return agent, await AgentKeyRepository(database).list_of(agent.id)

    async def revoke(self, name: str, key_id: str, *, by: Principal) -> None:
        """Revoke a key; its next use is refused here at once.

        Raises:
            NoSuchAgentError: The account has no such agent.
            NoSuchKeyError: The agent has no such key.
        """
        async with self._database.transaction() as tx:
            agent = await AgentRepository(tx).lock(name, account_id=by.account_id)
            await AgentKeyRepository(tx).revoke(key_id, agent_uuid=agent.id)

    async def check(self, principal: Principal) -> None:
        """Make sure that the key by which an agent came in is still good, whatever is remembered elsewhere.

        Raises:
            KeyRevokedError: It is not.
        """
        async with self._database.reading() as database:
            repository = AgentKeyRepository(database)
            key = await repository.find_good(principal.credential_id)
            if key is None or str(key.agent_uuid) != principal.agent_id:
                raise KeyRevokedError
            await repository.mark_used(key.id)

    async def resolve(self, credential: str) -> Principal:
        """Tell whose agent key or connect token this is.

        A revoked key is somebody without account and agent, whom nobody lets in; here such a one is told why. A connect
        token names its agent but no account: it is good for connecting and nothing else.

        Raises:
            NoSuchKeyError: No agent has, or ever had, this key, or waits with this token.
        """
        if credential.startswith(CONNECT_TOKEN_PREFIX):
            return await self._resolve_token(credential)
        async with self._database.reading() as database:
            key = await AgentKeyRepository(database).find_by_secret(fingerprint(credential))
        if key is None:
            raise NoSuchKeyError
        if key.revoked_at is not None:
            return Principal(via=Via.AGENT_KEY, credential_id=key.id)
        return Principal(
            via=Via.AGENT_KEY, account_id=key.account_id, agent_id=str(key.agent_uuid), credential_id=key.id
        )

    async def _resolve_token(self, credential: str) -> Principal:
        async with self._database.reading() as database:
            token = await AgentRepository(database).find_token(fingerprint(credential))
        if token is None:
            raise NoSuchKeyError
        return Principal(via=Via.AGENT_KEY, agent_id=str(token.id), credential_id=token.connect_token_id)
