"""What a pod's status says, in our words."""

from collections.abc import Sequence
from typing import Any

from instance_orchestrator.clients.kubernetes.manifests import RUN
from instance_orchestrator.domain.instances import Phase

Object = dict[str, Any]


def phase_of(pods: Sequence[Object], *, is_wanted: bool, run_hash: str) -> tuple[Phase, str]:
    """Tell what an instance's pods amount to, and what is wrong.

    None is stopped; running and ready is running; failed or unknown is failed; anything else, pods of an earlier run
    among it, is on its way.
    """
    if not is_wanted:
        return (Phase.STARTING, "") if pods else (Phase.STOPPED, "")
    current = [pod for pod in pods if pod["metadata"].get("annotations", {}).get(RUN) == run_hash]
    living = [pod for pod in current if "deletionTimestamp" not in pod["metadata"]]
    if len(pods) != len(living) or not living:
        return Phase.STARTING, ""
    status = newest(living).get("status", {})
    match status.get("phase"):
        case "Running" if _is_ready(status):
            return Phase.RUNNING, ""
        case "Failed" | "Unknown":
            return Phase.FAILED, status.get("message") or status.get("reason") or "the pod failed"
    return Phase.STARTING, _waiting_for(status)


def newest(pods: Sequence[Object]) -> Object:
    """Choose the pod that was made last."""
    return max(pods, key=lambda pod: (pod["metadata"].get("creationTimestamp", ""), pod["metadata"]["name"]))


def _is_ready(status: Object) -> bool:
    return any(one["type"] == "Ready" and one["status"] == "True" for one in status.get("conditions", []))


def _waiting_for(status: Object) -> str:
    for container in status.get("containerStatuses", []):
        if waiting := container.get("state", {}).get("waiting"):
            return ": ".join(filter(None, (waiting.get("reason"), waiting.get("message"))))
    for condition in status.get("conditions", []):
        if condition["type"] == "PodScheduled" and condition["status"] == "False":
            return str(condition.get("message", ""))
    return ""
