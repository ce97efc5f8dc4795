"""As much of a Kubernetes API as Helm asks for when it renders an upgrade: what the server is, and Secrets by name."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Object = dict[str, Any]


class Cluster:
    """Holds objects; answers reads, refuses writes."""

    def __init__(self) -> None:
        self.secrets: dict[str, Object] = {}
        self.asked: list[str] = []
        self.url = ""

    @contextmanager
    def serving(self) -> Iterator["Cluster"]:
        """Answer while the block runs."""
        server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        self.url = f"http://127.0.0.1:{server.server_port}"
        try:
            yield self
        finally:
            server.shutdown()
            server.server_close()
            thread.join()

    def answer(self, path: str) -> tuple[int, Object]:
        """Answer one read."""
        self.asked.append(path)
        path = path.partition("?")[0]
        folder, _, last = path.rpartition("/")
        version = path.removeprefix("/apis/").removeprefix("/api/")
        fixed = {
            "/version": {"major": "1", "minor": "34", "gitVersion": "v1.34.0"},
            "/api": {"kind": "APIVersions", "versions": ["v1"], "serverAddressByClientCIDRs": []},
            "/apis": {"kind": "APIGroupList", "apiVersion": "v1", "groups": _groups()},
        }
        if found := fixed.get(path):
            return 200, found
        if resources := _RESOURCES.get(version):
            return 200, {
                "kind": "APIResourceList",
                "apiVersion": "v1",
                "groupVersion": version,
                "resources": [
                    {"name": plural, "singularName": kind.lower(), "namespaced": True, "kind": kind,
                     "verbs": ["get", "list", "create", "patch"]}
                    for plural, kind in resources.items()
                ],
            }  # fmt: skip
        if path.startswith("/openapi/v3"):
            return 200, _openapi(path.removeprefix("/openapi/v3").strip("/"))
        if folder.endswith("/secrets") and last in self.secrets:
            return 200, self.secrets[last]
        if last == "secrets":
            return 200, {"kind": "SecretList", "apiVersion": "v1", "metadata": {}, "items": []}
        return 404, {"kind": "Status", "apiVersion": "v1", "status": "Failure", "reason": "NotFound", "code": 404,
                     "message": f"{path} is not here"}  # fmt: skip


_RESOURCES: dict[str, dict[str, str]] = {
    "v1": {
        "secrets": "Secret", "services": "Service", "configmaps": "ConfigMap", "namespaces": "Namespace",
        "serviceaccounts": "ServiceAccount", "persistentvolumeclaims": "PersistentVolumeClaim",
    },
    "apps/v1": {"deployments": "Deployment", "statefulsets": "StatefulSet"},
    "batch/v1": {"jobs": "Job", "cronjobs": "CronJob"},
    "policy/v1": {"poddisruptionbudgets": "PodDisruptionBudget"},
    "networking.k8s.io/v1": {"networkpolicies": "NetworkPolicy", "ingresses": "Ingress"},
    "rbac.authorization.k8s.io/v1": {"roles": "Role", "rolebindings": "RoleBinding"},
    "autoscaling/v2": {"horizontalpodautoscalers": "HorizontalPodAutoscaler"},
}  # fmt: skip


def _groups() -> list[Object]:
    versions = [name for name in _RESOURCES if "/" in name]
    return [
        {
            "name": name.partition("/")[0],
            "versions": [{"groupVersion": name, "version": name.partition("/")[2]}],
            "preferredVersion": {"groupVersion": name, "version": name.partition("/")[2]},
        }
        for name in versions
    ]


def _openapi(place: str) -> Object:
    """Describe what may be patched, which is how clients learn that the server validates fields itself."""
    if not place:
        places = [f"apis/{name}" if "/" in name else f"api/{name}" for name in _RESOURCES]
        return {"paths": {one: {"serverRelativeURL": f"/openapi/v3/{one}"} for one in places}}
    version = place.removeprefix("apis/").removeprefix("api/")
    group, _, number = version.rpartition("/")
    parameters = [{"name": name, "in": "query", "schema": {"type": "string"}} for name in ("dryRun", "fieldValidation")]
    return {
        "openapi": "3.0.0",
        "info": {"title": "Kubernetes", "version": "v1.34.0"},
        "paths": {
            f"/{place}/namespaces/{{namespace}}/{plural}/{{name}}": {
                "patch": {
                    "parameters": parameters,
                    "x-kubernetes-group-version-kind": {"group": group, "version": number, "kind": kind},
                    "responses": {},
                }
            }
            for plural, kind in _RESOURCES[version].items()
        },
    }


def _handler(cluster: Cluster) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            status, body = cluster.answer(self.path)
            content = json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    return Handler
