"""What this service is told, in the order of the chart's values."""

import re
from datetime import timedelta
from pathlib import Path
from typing import Annotated

from shoal.config import Secret, ServiceConfig, check_public_url, shared

_LABEL = re.compile(r"[A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?")


def _label(text: str) -> None:
    if not _LABEL.fullmatch(text):
        raise ValueError(f"{text!r} is no value of a Kubernetes label")


class Config(ServiceConfig, frozen=True, kw_only=True):
    """Settings of instance-orchestrator."""

    backend: Annotated[str, shared("SHOAL_INSTANCE_BACKEND")] = "local"
    """Where instances run: `local` (processes of this machine, held to their limits by cgroups where the suite has
    a part of their tree for itself, else one process at a time) or `kubernetes`."""
    encryption_key: Secret | None = None
    """Keys that seal secrets, the current one first: `<id>:<32 bytes in base64>`, several separated by commas. Without
    it a key is made and kept in the state folder, which only `local` allows."""
    state: Annotated[Path, shared("SHOAL_STATE")] = Path(".shoal")
    """The installation's folder: directories of local instances, and the key where none is given."""
    public_url: Annotated[str, shared("SHOAL_PUBLIC_URL", check=check_public_url)] = "http://127.0.0.1:8080"
    """Where agents reach the gateway."""
    node_address: Annotated[str, shared("SHOAL_NODE_ADDRESS")] = "127.0.0.1"
    """The address at which the ports of instances are reached; local instances listen on it."""
    ports: str = "30100-30199"
    """The ports of instances, in pairs of an even one and the next."""
    concurrency: int = 8
    """How many instances are worked on at once."""
    resync: timedelta = timedelta(seconds=30)
    """How often every instance is looked at without any cause."""
    orphan_grace: timedelta = timedelta(minutes=10)
    """How old a thing without a row must be before it is swept away."""
    alone_grace: timedelta = timedelta(minutes=2)
    """How long a local instance goes on when the suite that started it is gone."""
    sample_interval: timedelta = timedelta(seconds=10)
    """How often the agents of instances sample."""
    image: Annotated[str, shared("SHOAL_INSTANCE_IMAGE")] = "shoal-instance:0.1.0"
    """The container image of instances that name none."""
    namespace: str = "bots"
    """The Kubernetes namespace of instances; it should hold nothing else."""
    installation: Annotated[str, shared(check=_label)] = "shoal"
    """The label (`shoal/installation`) by which instances there are known as this installation's."""
    kubeconfig: str = ""
    """A kubeconfig file; empty: the pod's own service account."""
    storage_class: str = ""
    """The storage class of volumes; empty: the cluster's default."""
    image_pull_secret: str = ""
    """The secret by which images are pulled."""
    image_pull_policy: str = "IfNotPresent"
    """When images are pulled."""
    run_as_user: int = 10001
    """The user of instances' containers; 0 for images that must be root."""
    is_privileged: bool = False
    """Whether containers may do anything on their node; only for images that cannot do without."""
    ssh_user: str = "shoal"
    """The user as whom ssh-manager signs in to pods."""
    has_shoal_agent: bool = True
    """Whether the image is ours: it is given a pairing, and reports telemetry."""
