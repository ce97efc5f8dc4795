"""The backend `kubernetes`: each instance is a set of objects, made and mended by server-side apply.

Nothing is remembered here: every step reads all objects of the instance and writes those that are not as planned, so a
crash between any two writes is mended by the next step, and where all is as planned nothing is written.
"""

import asyncio
from collections.abc import AsyncGenerator
from datetime import UTC, datetime, timedelta

import structlog
from msgspec import Struct

from instance_orchestrator.clients.backend import (
    BackendUnavailableError,
    Hint,
    PortsTakenError,
    RefusedByBackendError,
)
from instance_orchestrator.clients.kubernetes.api import MANAGER, KubernetesApi, Object, RefusedError
from instance_orchestrator.clients.kubernetes.comparing import is_as_wanted
from instance_orchestrator.clients.kubernetes.kinds import POD, SERVICE, VOLUME, WATCHED, Kind
from instance_orchestrator.clients.kubernetes.logs import PodLog
from instance_orchestrator.clients.kubernetes.manifests import (
    APPLICATION,
    INSTALLATION,
    INSTANCE,
    PodSettings,
    names,
    objects,
    selector,
)
from instance_orchestrator.clients.kubernetes.pods import phase_of
from instance_orchestrator.clients.kubernetes.reflector import Reflector
from instance_orchestrator.domain.instances import Endpoint, Phase
from instance_orchestrator.domain.plans import InstanceRef, Observed, Plan
from instance_orchestrator.domain.quantities import parse

INVALID = 422
PORT_TAKEN = "provided port is already allocated"


class KubernetesSettings(Struct, frozen=True, kw_only=True):
    """How instances run on a cluster."""

    namespace: str
    kubeconfig: str
    orphan_grace_s: float
    pods: PodSettings


class KubernetesBackend:
    """Runs instances as Deployments."""

    name = "kubernetes"

    def __init__(self, settings: KubernetesSettings) -> None:
        self._settings = settings
        self._api = KubernetesApi(namespace=settings.namespace, kubeconfig=settings.kubeconfig)

    def problem(self) -> str | None:
        """Say why the API cannot be reached, or None."""
        return self._api.problem

    def busy_ports(self, first: int, last: int) -> list[int]:  # noqa: ARG002 - the protocol's
        """Know of none: the cluster says so when it is asked for one."""
        return []

    async def converge(self, plan: Plan) -> Observed:
        """Apply the objects that are not as planned, and read the pods."""
        try:
            for kind, wanted in objects(plan, self._settings.pods):
                await self._bring_about(plan, kind, wanted)
            pods, _ = await self._api.list(POD, self._selector(plan.instance))
        except RefusedError as error:
            raise RefusedByBackendError(str(error)) from error
        phase, problem = phase_of(pods, is_wanted=plan.is_running, run_hash=plan.run_hash)
        host = f"{plan.instance.name}-ssh.{self._settings.namespace}.svc"
        endpoint = Endpoint(host, 22, self._settings.pods.ssh_user) if phase is Phase.RUNNING else None
        return Observed(phase, endpoint, problem)

    async def remove(self, instance: InstanceRef) -> bool:
        """Delete the instance's objects; what is another instance's by the same name stays."""
        is_gone = True
        try:
            for kind, name in names(instance):
                live = await self._api.get(kind, name)
                if live is None or _owner(live) != instance.id or self._is_of_another(live):
                    continue
                is_gone = False
                if "deletionTimestamp" not in live["metadata"]:
                    await self._api.delete(kind, name, uid=live["metadata"]["uid"])
            pods, _ = await self._api.list(POD, self._selector(instance))
        except RefusedError as error:
            raise BackendUnavailableError(str(error)) from error
        return is_gone and not pods

    async def sweep(self, known: frozenset[int]) -> None:
        """Delete objects that say that they belong to an instance of this installation which is not there."""
        strays: dict[int, InstanceRef] = {}
        newest = datetime.now(UTC) - timedelta(seconds=self._settings.orphan_grace_s)
        try:
            for kind in WATCHED:
                listed, _ = await self._api.list(kind, self._selector())
                for one in listed:
                    metadata, owner = one["metadata"], _owner(one)
                    made = datetime.fromisoformat(metadata["creationTimestamp"])
                    if owner and owner not in known and made <= newest:
                        strays[owner] = InstanceRef(owner, metadata["labels"].get(APPLICATION, ""))
        except RefusedError as error:
            raise BackendUnavailableError(str(error)) from error
        for instance in strays.values():
            structlog.get_logger().warning("orphan_removed", instance=instance.name, instance_id=instance.id)
            await self.remove(instance)

    async def watch(self, hint: Hint) -> None:
        """Follow every kind of object for ever."""
        async with asyncio.TaskGroup() as tasks:
            for kind in WATCHED:
                tasks.create_task(Reflector(self._api, kind, self._selector(), hint).run())

    def logs(self, instance: InstanceRef, *, tail: int, is_following: bool) -> AsyncGenerator[list[str], None]:
        """Read the log of the instance's pod."""
        return PodLog(self._api, self._selector(instance)).read(tail=tail, is_following=is_following)

    async def close(self) -> None:
        """Close the connections."""
        await self._api.close()

    async def _bring_about(self, plan: Plan, kind: Kind, wanted: Object) -> None:
        """Apply an object unless it is as planned.

        Raises:
            BackendUnavailableError: What stands there is on its way out, or somebody else's.
            PortsTakenError: It is a Service, and its ports are somebody else's.
        """
        live = await self._api.get(kind, wanted["metadata"]["name"])
        if live is not None:
            if not _is_ours(live) or self._is_of_another(live):
                raise RefusedByBackendError(f"{kind.name} {wanted['metadata']['name']} exists and is not ours")
            if (_owner(live) or plan.instance.id) != plan.instance.id or "deletionTimestamp" in live["metadata"]:
                raise BackendUnavailableError(f"{kind.name} {wanted['metadata']['name']} of another is still there")
            if kind is VOLUME:
                wanted = _grown(live, wanted)
            if is_as_wanted(live, wanted, MANAGER):
                return
        try:
            await self._api.apply(kind, wanted)
        except RefusedError as error:
            if kind is SERVICE and error.status == INVALID and PORT_TAKEN in str(error):
                raise PortsTakenError from error
            raise
        structlog.get_logger().info("object_applied", kind=kind.name, name=wanted["metadata"]["name"])

    def _selector(self, instance: InstanceRef | None = None) -> str:
        return selector(self._settings.pods.installation, instance)

    def _is_of_another(self, live: Object) -> bool:
        """Tell whether it is another installation's; one that names none is of a version that knew of none."""
        own = self._settings.pods.installation
        return bool(live["metadata"].get("labels", {}).get(INSTALLATION, own) != own)


def _is_ours(live: Object) -> bool:
    """Tell whether we made an object, whatever became of its labels."""
    return any(entry.get("manager") == MANAGER for entry in live["metadata"].get("managedFields", []))


def _owner(live: Object) -> int:
    number = live["metadata"].get("labels", {}).get(INSTANCE, "")
    return int(number) if number.isdigit() else 0


def _grown(live: Object, wanted: Object) -> Object:
    """Want of a volume that is there only what can become of it: other labels, and more room once it is bound."""
    spec, size = live["spec"], wanted["spec"]["resources"]["requests"]["storage"]
    there = spec["resources"]["requests"]["storage"]
    can_grow = live.get("status", {}).get("phase") == "Bound" and parse(size) > parse(there)
    stands = {key: spec[key] for key in ("accessModes", "storageClassName") if key in spec}
    grown = {"resources": {"requests": {"storage": size if can_grow else there}}}
    return wanted | {"spec": stands | grown}
