"""What an instance should be, as the backend is told; a place on the dashboard is held open for it beforehand."""

import structlog
from msgspec import Struct

from instance_orchestrator.clients.pairings import PairingClient
from instance_orchestrator.domain.instances import Desired, Instance
from instance_orchestrator.domain.plans import InstanceRef, Plan, Seat, effective_keys
from instance_orchestrator.domain.settings import Defaults
from instance_orchestrator.repositories.instances import InstanceRepository
from instance_orchestrator.repositories.keys import KeyRepository, SshKeyRepository
from instance_orchestrator.repositories.settings import SettingRepository
from shoal.crypto import Envelope
from shoal.database import Database
from shoal.ids import new_id
from shoal.peers import PeerUnavailableError

TOKEN_GOOD_FOR_S = 120
"""A pairing token that can be redeemed for less than this is replaced."""


class Site(Struct, frozen=True, kw_only=True):
    """What all instances of this installation have in common."""

    image: str
    gateway_url: str
    has_agent: bool
    """Whether instances run our agent, which wants a place on the dashboard."""


class Planning:
    """Plans instances."""

    def __init__(self, *, database: Database, envelope: Envelope, pairings: PairingClient, site: Site) -> None:
        self._database = database
        self._envelope = envelope
        self._pairings = pairings
        self._site = site

    async def plan(self, instance: Instance) -> Plan:
        """Tell what an instance should be now."""
        if self._site.has_agent and instance.desired is Desired.RUNNING and not instance.is_paired:
            await self._seek_pairing(instance)
        async with self._database.transaction(read_only=True) as tx:  # of one moment, or its pod would start twice
            (now,) = await InstanceRepository(tx).select(ids=[instance.id], is_deleted_too=True)
            keys = KeyRepository(tx, self._envelope)
            defaults = Defaults.of(await SettingRepository(tx).of(now.account_id))
            host_key = await keys.host_key(now.id)
            assert host_key is not None, "a host key lives as long as its instance"  # noqa: S101
            token = await keys.offer(now.id, good_for_s=TOKEN_GOOD_FOR_S // 2)
            return Plan(
                instance=InstanceRef(now.id, now.name),
                account_id=now.account_id,
                generation=now.generation,
                is_running=now.desired is Desired.RUNNING,
                restarts=now.restarts,
                ports=now.ports,
                resources=now.resources,
                image=now.container_image or defaults.container_image or self._site.image,
                resolution=now.vnc_resolution or defaults.vnc_resolution,
                config=await InstanceRepository(tx).config(now.id),
                environment=effective_keys(await keys.of_account(now.account_id), await keys.of_instance(now.id)),
                host_key=host_key,
                authorized=await SshKeyRepository(tx).find(now.id),
                seat=Seat(now.agent_id, now.name, self._site.gateway_url, token or ""),
                source=await InstanceRepository(tx).source(now.id),
            )

    async def _seek_pairing(self, instance: Instance) -> None:
        """Have a place on the dashboard held open; an instance runs without one until it can be had."""
        async with self._database.reading() as database:
            if await KeyRepository(database, self._envelope).offer(instance.id, good_for_s=TOKEN_GOOD_FOR_S):
                return
        wanted = instance.pairing_id
        try:
            for _ in range(2):
                if wanted is None:
                    wanted = new_id("pair")
                    await self._keep_offer(instance.id, wanted)  # before the call: a crash asks for the same one
                offer = await self._pairings.hold_open(
                    wanted, account_id=instance.account_id, user_id=instance.user_id, name=instance.display_name
                )
                if offer is not None:
                    async with self._database.transaction() as tx:
                        await KeyRepository(tx, self._envelope).keep_offer(
                            instance.id, offer.pairing_id, offer.token, offer.expires_at
                        )
                    return
                wanted = None  # that one has ended
        except PeerUnavailableError as error:
            structlog.get_logger().info("pairing_waits", instance=instance.name, reason=str(error))

    async def _keep_offer(self, instance_id: int, pairing_id: str) -> None:
        async with self._database.transaction() as tx:
            await InstanceRepository(tx).set_pairing(instance_id, pairing_id, is_paired=False)
