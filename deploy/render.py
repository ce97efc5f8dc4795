"""Render what the deployment copies from the code: run it after a Config, a NATS right or a permitted call changed.

Usage: python deploy/render.py [--check]. Writes, inside deploy/helm/shoal:

- files/services.json: each service's port, variables, secrets and peers, for the templates;
- files/nats-accounts.json: who may say what on NATS, with `@user@` where a password goes (and for shoal_operations);
- values.yaml: the blocks `shared` and `<service>.config`, in the order and the words of each config.py;
- values.schema.json: strict, from values.yaml and the types of the configs;

and the table of metrics in docs/telemetry.md, and those of settings in docs/settings.md.
"""

import json
import re
import sys
import textwrap
import typing
from collections.abc import Iterator, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import metrics
import yaml
from forms import DURATION, FREE, NARROW, WHOLE_SECONDS
from settings import Field, fields, tables

from shoal.config import Secret
from shoal.identity import PERMITTED_CALLS
from shoal.variables import written
from shoal_embedded.nats import render_accounts
from shoal_embedded.nats_users import USERS, service_users

CHART = Path(__file__).parent / "helm" / "shoal"
ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
OPERATIONS = ROOT / "libs" / "operations" / "src" / "shoal_operations"
PORTS = {
    "gateway": 8080, "pairing": 8101, "telemetry-ingest": 8102, "metrics-query": 8103, "agent-runtime": 8104,
    "instance-orchestrator": 8105, "ssh-manager": 8106,
}  # fmt: skip
ALONE = frozenset({"ssh-manager"})
"""Services that run once: two would hold every connection twice."""
DRAWN = frozenset({"encryption_key"})
"""Secret settings that can be drawn by lot; any other is the operator's to give."""
_BLOCK = r"(?m)(?<=^NAME:\n)((?:(?:  .*)?\n)*?)  config:.*\n(?:    .*\n)*"
"""The settings of a service in values.yaml, and what stands before them."""
_TABLE = r"(?s)(?<=<!-- NAME -->\n).*(?=<!-- end -->)"
"""What is rendered of a document."""


def main() -> None:
    """Write everything, or tell what is not as it should be."""
    rendered = dict(render())
    stale = [name for name, text in rendered.items() if not _path(name).exists() or _path(name).read_text() != text]
    if "--check" not in sys.argv:
        for name in stale:
            _path(name).parent.mkdir(parents=True, exist_ok=True)
            _path(name).write_text(rendered[name])
    elif stale:
        sys.exit(f"shoal: {', '.join(stale)} is not what the code says\n  → run: python deploy/render.py")


def render() -> Iterator[tuple[str, str]]:
    """Yield every rendered file: its path in the chart, and what it should hold."""
    yield "files/services.json", _json(services())
    accounts = _json(render_accounts(service_users({user: f"@{user}@" for user in USERS})))
    yield "files/nats-accounts.json", accounts
    yield str(OPERATIONS / "nats-accounts.json"), accounts
    about = DOCS / "telemetry.md"
    yield str(about), _replaced(about.read_text(), _TABLE.replace("NAME", "metrics"), _raw(metrics.table()))
    about = DOCS / "settings.md"
    yield str(about), _replaced(about.read_text(), _TABLE.replace("NAME", "settings"), _raw(f"\n{tables()}\n"))
    values = values_yaml((CHART / "values.yaml").read_text())
    yield "values.yaml", values
    yield "values.schema.json", _json(schema(yaml.safe_load(values)))


def services() -> dict[str, Any]:
    """Tell what the templates need to know of each service."""
    facts: dict[str, Any] = {}
    for name, port in PORTS.items():
        own = list(fields(name))
        facts[name] = {
            "port": port,
            "prefix": name.replace("-", "_").upper(),
            "scales": name not in ALONE,
            "secrets": [field.name.replace("_", "-") for field in own if field.name in DRAWN],
            "shared": [{"key": f.key, "variable": f.variable} for f in own if f.is_shared and f.hint is not Secret],
            "config": [{"key": f.key, "variable": f.variable} for f in own if not f.is_shared and f.hint is not Secret],
            "callers": sorted(caller for caller, callee in arrows() if callee == name),
            "calls": sorted(callee for caller, callee in arrows() if caller == name),
        }
    return {"order": list(PORTS), "services": facts}


def arrows() -> set[tuple[str, str]]:
    """List who calls whom: the gateway everybody, services as the table of permitted calls says."""
    forwarded = {("gateway", name) for name in PORTS if name != "gateway"}
    return forwarded | {(caller, callee) for caller, callee, _ in PERMITTED_CALLS if callee != "*"}


def values_yaml(text: str) -> str:
    """Write the blocks of settings anew; everything else stays as it stands."""
    shared: dict[str, Field] = {}
    for name in PORTS:
        for field in fields(name):
            if field.is_shared and field.hint is not Secret:
                shared.setdefault(field.key, field)
        own = [field for field in fields(name) if not field.is_shared and field.hint is not Secret]
        block = "".join(_setting(field, indent=4) for field in own)
        head = "  config:\n" if block else "  config: {}\n"
        text = _replaced(text, _BLOCK.replace("NAME", name), rf"\1{_raw(head + block)}")
    block = "".join(_setting(field, indent=2) for field in shared.values())
    return _replaced(text, r"(?m)^shared:\n(?:  .*\n)*", _raw(f"shared:\n{block}"))


def schema(values: Mapping[str, Any]) -> dict[str, Any]:
    """Write a schema that knows every value and refuses every other."""
    types = {f"shared.{field.key}": _type(field) for name in PORTS for field in fields(name) if field.is_shared}
    types |= {
        f"{name}.config.{field.key}": _type(field) for name in PORTS for field in fields(name) if not field.is_shared
    }
    made = _schema_of(values, "", types)
    # what Helm adds by itself when the chart is somebody's dependency
    made["properties"]["global"] = {"type": "object"}
    return {"$schema": "https://json-schema.org/draft-07/schema#", "title": "Values of the chart shoal", **made}


def _schema_of(value: Any, path: str, types: Mapping[str, Any]) -> dict[str, Any]:
    name, parent = path.rpartition(".")[2], ".".join(path.split(".")[-2:])
    for known in (NARROW.get(path), types.get(path), NARROW.get(parent), NARROW.get(name), FREE.get(name)):
        if known is not None:
            return dict(known)
    if isinstance(value, Mapping):
        inner = {key: _schema_of(one, f"{path}.{key}".lstrip("."), types) for key, one in value.items()}
        return {"type": "object", "additionalProperties": False, "properties": inner}
    if isinstance(value, list):
        return {"type": "array", "items": {"type": "string" if not value or isinstance(value[0], str) else "integer"}}
    return {"type": {bool: "boolean", int: "integer", float: "number", str: "string"}[type(value)]}


def _type(field: Field) -> dict[str, Any]:
    if field.name in {"drain_delay", "drain_timeout"}:
        return dict(WHOLE_SECONDS)
    if field.hint is timedelta:
        return dict(DURATION)
    if typing.get_origin(field.hint) is tuple:
        return {"type": "array", "items": {"type": "string"}}
    kind = {bool: "boolean", int: "integer", float: "number"}.get(field.hint, "string")
    return {"type": [kind, "null"] if field.default is None else kind}


def _setting(field: Field, *, indent: int) -> str:
    margin = " " * indent
    words = textwrap.fill(field.words, 118 - indent, initial_indent=f"{margin}# ",
                          subsequent_indent=f"{margin}# ")  # fmt: skip
    return f"{words}\n{margin}{field.key}: {_spelled(field.default)}\n"


def _spelled(value: object) -> str:
    if isinstance(value, timedelta):
        return written(value)
    return json.dumps(value)


def _replaced(text: str, pattern: str, by: str) -> str:
    made, count = re.subn(pattern, by, text)
    if count != 1:
        raise LookupError(f"there is no place, or more than one, for {pattern}")
    return made


def _raw(text: str) -> str:
    return text.replace("\\", r"\\")


def _json(value: object) -> str:
    return json.dumps(value, indent=2) + "\n"


def _path(name: str) -> Path:
    return CHART / name


if __name__ == "__main__":
    main()
