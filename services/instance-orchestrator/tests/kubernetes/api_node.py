"""The node that a bare API server has not, and its controllers: they play through its API, and run nothing."""

import asyncio
import contextlib
from copy import deepcopy
from uuid import uuid4

import aiohttp
from api_hand import Hand
from api_objects import Object, RefusalError, hash_of

READY = {"phase": "Running", "conditions": [{"type": "Ready", "status": "True"}]}
PROTECTION = "kubernetes.io/pvc-protection"


class Node:
    """Says that pods run, and binds volumes; without controllers it makes the pods, and keeps the volumes they use."""

    def __init__(self, hand: Hand, *, has_controllers: bool) -> None:
        self.start_s, self.stop_s = 0.02, 0.02
        self.is_binding = True
        self._hand = hand
        self._has_controllers = has_controllers
        self._since: dict[str, float] = {}

    async def run(self) -> None:
        while True:
            await asyncio.sleep(0.03)
            with contextlib.suppress(RefusalError, aiohttp.ClientError):  # somebody else was quicker
                await self._round()

    async def _round(self) -> None:
        pods, deployments = await self._hand.pods(), await self._hand.all("deployments")
        for pod in pods:
            await self._advance(pod)
        await self._keep_volumes(pods)
        if self._has_controllers:
            return
        for pod in pods:
            await self._leave(pod, deployments.get(pod["metadata"]["labels"]["app"]))
        for name, one in deployments.items():
            is_there = any(pod["metadata"]["labels"]["app"] == name for pod in pods)
            if one["spec"]["replicas"] and not is_there:  # Recreate: the old one goes first
                await self._make_pod(name, one["spec"]["template"])

    async def _advance(self, pod: Object) -> None:
        name, is_going = pod["metadata"]["name"], "deletionTimestamp" in pod["metadata"]
        now = asyncio.get_running_loop().time()
        age = now - self._since.setdefault(f"{name}/{is_going}", now)
        if is_going and age >= self.stop_s:
            await self._hand.drop("pods", name, gracePeriodSeconds=0)
        elif not is_going and "nodeName" not in pod["spec"]:
            await self._hand.bind(name, "played")
        elif not is_going and pod["status"]["phase"] == "Pending" and age >= self.start_s:
            await self._hand.edit("pods", name, lambda one: one["status"].update(READY), part="/status")

    async def _leave(self, pod: Object, owner: Object | None) -> None:
        is_current = (
            owner is not None
            and owner["spec"]["replicas"]
            and pod["metadata"]["labels"]["pod-template-hash"] == hash_of(owner["spec"]["template"])
        )
        if not is_current and "deletionTimestamp" not in pod["metadata"]:
            await self._hand.drop("pods", pod["metadata"]["name"])

    async def _make_pod(self, deployment: str, template: Object) -> None:
        revision = hash_of(template)
        metadata = deepcopy(template["metadata"]) | {"name": f"{deployment}-{revision}-{uuid4().hex[:5]}"}
        metadata["labels"]["pod-template-hash"] = revision
        await self._hand.put("pods", {"metadata": metadata, "spec": template["spec"] | {"nodeName": "played"}})

    async def _keep_volumes(self, pods: list[Object]) -> None:
        used = {
            volume["persistentVolumeClaim"]["claimName"]
            for pod in pods
            for volume in pod["spec"]["volumes"]
            if "persistentVolumeClaim" in volume
        }
        for name, one in (await self._hand.all("persistentvolumeclaims")).items():
            if "deletionTimestamp" not in one["metadata"]:
                await self._bind(name, one)
            elif not self._has_controllers and name not in used and PROTECTION in one["metadata"].get("finalizers", []):
                await self._hand.edit(
                    "persistentvolumeclaims", name, lambda it: it["metadata"]["finalizers"].remove(PROTECTION)
                )

    async def _bind(self, name: str, claim: Object) -> None:
        if self.is_binding and claim["status"]["phase"] == "Pending":  # only what is bound can grow
            bound = {"phase": "Bound", "capacity": claim["spec"]["resources"]["requests"]}
            await self._hand.edit("persistentvolumeclaims", name, lambda it: it["status"].update(bound), part="/status")
