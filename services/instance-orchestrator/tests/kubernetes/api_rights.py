"""What the chart lets the orchestrator do, and an account that may do that and nothing else."""

import functools
from pathlib import Path
from typing import Any

import helm_python as helm
import yaml
from aiohttp import web
from api_hand import KINDS, Hand
from api_objects import RefusalError

CHART = Path(__file__).parents[4] / "deploy" / "helm" / "shoal"
ACCOUNT = "orchestrator"
VERBS = {"PATCH": "patch", "DELETE": "delete", "POST": "create", "PUT": "update"}

Object = dict[str, Any]


@functools.cache
def rules() -> list[Object]:
    """Read the rules of the chart's only Role."""
    with helm.Chart.load(CHART) as chart:
        rendered = chart.render({}, name="shoal", namespace="shoal")
    objects = [one for text in rendered.values() if "kind: Role\n" in text for one in yaml.safe_load_all(text)]
    (role,) = (one for one in objects if one["kind"] == "Role")
    found: list[Object] = role["rules"]
    return found


async def grant(hand: Hand) -> str:
    """Make the account in the hand's namespace, with that Role; returns a token of it."""
    core = f"/api/v1/namespaces/{hand.namespace}/serviceaccounts"
    group = "rbac.authorization.k8s.io"
    named: Object = {"metadata": {"name": ACCOUNT}}
    role = {"apiGroup": group, "kind": "Role", "name": ACCOUNT}
    subject = {"kind": "ServiceAccount", "name": ACCOUNT, "namespace": hand.namespace}
    await hand.ask("POST", core, named)
    await hand.ask("POST", f"/apis/{group}/v1/namespaces/{hand.namespace}/roles", named | {"rules": rules()})
    binding = named | {"roleRef": role, "subjects": [subject]}
    await hand.ask("POST", f"/apis/{group}/v1/namespaces/{hand.namespace}/rolebindings", binding)
    told = await hand.ask("POST", f"{core}/{ACCOUNT}/token", {"spec": {"expirationSeconds": 3600}})
    token: str = told["status"]["token"]
    return token


def check_rights(granted: list[Object], request: web.Request, place: list[str] | None, *, is_there: bool) -> None:
    """Refuse a request that no rule allows; to apply what is not there is to create it, too."""
    if place is None:
        raise RefusalError(403, "Forbidden", f"{request.path} is forbidden to {ACCOUNT}")
    plural, name, part = [*place, "", ""][:3]
    verb = VERBS.get(request.method, "get" if name else "watch" if request.query.get("watch") == "true" else "list")
    resource = f"{plural}/{part}" if part else plural
    group = KINDS[plural][0].removeprefix("/api/v1").removeprefix("/apis/").removesuffix("/v1")
    for needed in (verb,) if is_there or verb != "patch" else (verb, "create"):
        if not any(
            needed in rule["verbs"] and resource in rule["resources"] and group in rule["apiGroups"] for rule in granted
        ):
            raise RefusalError(403, "Forbidden", f"{resource} is forbidden: {ACCOUNT} cannot {needed} it")
