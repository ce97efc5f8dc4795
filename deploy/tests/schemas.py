"""Kubernetes' own schemas, strict, as kubernetes-validate ships them, but each is read once."""

import functools
import re
from collections.abc import Iterator
from typing import Any

from jsonschema import Draft202012Validator
from kubernetes_validate.utils import all_versions, major_minor, schema_contents
from referencing import Registry, Resource


def problems(one: dict[str, Any], version: str) -> Iterator[str]:
    """Yield what is wrong with an object for a version such as 1.30."""
    api_version = re.sub(r"^([^./]*)(?:\.[^/]*)?/", r"\1-", one["apiVersion"])
    for error in _validator(_folder(version), one["kind"].lower(), api_version).iter_errors(one):
        yield f"{one['kind']} {one['metadata']['name']} at {version}, {error.json_path}: {error.message}"


@functools.lru_cache
def _folder(version: str) -> str:
    (full,) = {known for known in all_versions() if major_minor(known) == version}
    return f"v{full}-local-strict"


@functools.lru_cache
def _definitions(folder: str) -> Resource[Any]:
    return Resource.from_contents(schema_contents(f"kubernetes-json-schema/{folder}/_definitions.json", folder))


@functools.lru_cache
def _validator(folder: str, kind: str, api_version: str) -> Draft202012Validator:
    schema = schema_contents(f"kubernetes-json-schema/{folder}/{kind}-{api_version}.json", folder)
    registry = Resource.from_contents(schema) @ Registry()
    return Draft202012Validator(schema, registry=_definitions(folder) @ registry)
