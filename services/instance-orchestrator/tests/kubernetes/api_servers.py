"""API servers for these tests: given (`KUBECONFIG`), else made of binaries (`KUBEBUILDER_ASSETS`), else the double.

Each test has a namespace of its own, and in it an account for the orchestrator that may do what the chart allows. A
given cluster that has nodes must have the image (`SHOAL_INSTANCE_IMAGE`) on them, a default storage class that lets
volumes grow, and node ports from 30100 on that nobody has.
"""

import asyncio
import contextlib
import json
import os
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from subprocess import DEVNULL, Popen
from uuid import uuid4

import aiohttp
from api_double import TOKEN, ApiDouble
from api_hand import Hand
from api_objects import RefusalError
from api_rights import grant
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from msgspec import Struct, structs

from shoal.testing.suite import eventually, free_port

GIVEN, ASSETS = "KUBECONFIG", "KUBEBUILDER_ASSETS"
CONTROLLERS = "deployment,replicaset,garbagecollector,pvc-protection,namespace,serviceaccount"
CONTROLLED = "/api/v1/namespaces/default/serviceaccounts"
"""Where there is something as soon as controllers are at work."""


class Server(Struct, frozen=True, kw_only=True):
    """An API server, and one namespace there for one test."""

    kubeconfig: str
    """An administrator's."""
    orchestrator: str
    """The kubeconfig of the orchestrator's account."""
    namespace: str
    has_controllers: bool = False
    """Whether Deployments get their pods there."""
    has_nodes: bool = False
    """Whether pods run there."""
    say: Callable[..., None] | None = None
    """Write into a pod's log."""


def real_server() -> str:
    """Name the variable by which a real API server is asked for; empty when none is."""
    return next((name for name in (GIVEN, ASSETS) if os.environ.get(name)), "")


def kubeconfig_for(url: str, token: str, file: Path) -> str:
    """Write a kubeconfig for a server on this machine; returns its path."""
    named = {"name": "tests"}
    content = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "tests",
        "clusters": [named | {"cluster": {"server": url, "insecure-skip-tls-verify": True}}],
        "users": [named | {"user": {"token": token}}],
        "contexts": [named | {"context": {"cluster": "tests", "user": "tests"}}],
    }
    file.write_text(json.dumps(content))
    return str(file)


@contextlib.asynccontextmanager
async def double(folder: Path) -> AsyncIterator[Server]:
    """Run the double."""
    made = ApiDouble()
    await made.start()
    try:
        async with namespace_of(kubeconfig_for(made.url, TOKEN, folder / "double.json"), folder) as server:
            yield structs.replace(server, say=made.say)
    finally:
        await made.stop()
    assert made.violations == []


@contextlib.asynccontextmanager
async def namespace_of(kubeconfig: str, folder: Path) -> AsyncIterator[Server]:
    """Make a namespace on a server; afterwards everything in it is deleted."""
    hand = Hand(kubeconfig, f"shoal-{uuid4().hex[:8]}")
    await hand.open()
    try:
        await hand.ask("POST", "/api/v1/namespaces", {"metadata": {"name": hand.namespace}})
        try:
            has_nodes = bool((await hand.ask("GET", "/api/v1/nodes"))["items"])
            has_controllers = bool((await hand.ask("GET", CONTROLLED))["items"])
            if not has_nodes:
                await _let_volumes_grow(hand)
            account = kubeconfig_for(hand.url, await grant(hand), folder / "account.json")
            await _until_found(
                account, f"/api/v1/namespaces/{hand.namespace}/pods", lambda _: True
            )  # Roles take a moment
            yield Server(
                kubeconfig=kubeconfig,
                orchestrator=account,
                namespace=hand.namespace,
                has_controllers=has_controllers,
                has_nodes=has_nodes,
            )
        finally:
            await hand.clear()
    finally:
        await hand.close()


async def _let_volumes_grow(hand: Hand) -> None:
    metadata = {"name": "played", "annotations": {"storageclass.kubernetes.io/is-default-class": "true"}}
    made = {"metadata": metadata, "provisioner": "shoal.test/none", "allowVolumeExpansion": True}
    try:
        await hand.ask("POST", "/apis/storage.k8s.io/v1/storageclasses", made)
    except RefusalError as refusal:
        if refusal.reason != "AlreadyExists":
            raise


@contextlib.contextmanager
def bare_server(assets: Path, folder: Path) -> Iterator[str]:
    """Run etcd and kube-apiserver, and kube-controller-manager where the folder has it; gives a kubeconfig's path."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    (folder / "accounts.key").write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )  # fmt: skip
    (folder / "tokens.csv").write_text(f"{TOKEN},tests,tests,system:masters\n")
    store, peers, port = (f"http://127.0.0.1:{free_port()}", f"http://127.0.0.1:{free_port()}", free_port())
    commands = [
        [
            str(assets / "etcd"),
            f"--data-dir={folder / 'etcd'}",
            f"--listen-client-urls={store}",
            f"--advertise-client-urls={store}",
            f"--listen-peer-urls={peers}",
            "--unsafe-no-fsync",
        ],
        [
            str(assets / "kube-apiserver"),
            f"--etcd-servers={store}",
            "--bind-address=127.0.0.1",
            "--advertise-address=127.0.0.1",
            f"--secure-port={port}",
            f"--cert-dir={folder / 'certificates'}",
            f"--token-auth-file={folder / 'tokens.csv'}",
            "--authorization-mode=RBAC",
            "--service-cluster-ip-range=10.0.0.0/24",
            "--service-account-issuer=https://127.0.0.1",
            f"--service-account-key-file={folder / 'accounts.key'}",
            f"--service-account-signing-key-file={folder / 'accounts.key'}",
            "--disable-admission-plugins=ServiceAccount",
            "--allow-privileged=true",
        ],
    ]
    running: list[Popen[bytes]] = []
    try:
        running += [Popen(command, stdout=DEVNULL, stderr=DEVNULL) for command in commands]
        kubeconfig = kubeconfig_for(f"https://127.0.0.1:{port}", TOKEN, folder / "kubeconfig.json")
        asyncio.run(_until_found(kubeconfig, "/readyz", lambda _: True))
        if (assets / "kube-controller-manager").exists():
            running.append(Popen(_controllers(assets, kubeconfig, folder), stdout=DEVNULL, stderr=DEVNULL))
            asyncio.run(_until_found(kubeconfig, CONTROLLED, lambda told: bool(json.loads(told)["items"])))
        yield kubeconfig
    finally:
        for process in reversed(running):
            process.terminate()
            process.wait(30)


def _controllers(assets: Path, kubeconfig: str, folder: Path) -> list[str]:
    return [
        str(assets / "kube-controller-manager"),
        f"--kubeconfig={kubeconfig}",
        f"--controllers={CONTROLLERS}",
        "--leader-elect=false",
        "--bind-address=127.0.0.1",
        f"--secure-port={free_port()}",
        f"--cert-dir={folder / 'controllers'}",
    ]


async def _until_found(kubeconfig: str, path: str, holds: Callable[[bytes], bool]) -> None:
    """Wait until the server gives an answer that will do."""
    async with Hand(kubeconfig, "default").opened() as hand:

        async def is_found() -> bool:
            with contextlib.suppress(aiohttp.ClientError, OSError):
                async with hand.asking("GET", path) as answer:
                    return answer.status == 200 and holds(await answer.read())
            return False

        await eventually(is_found, lambda: "no such answer", within_s=60)
