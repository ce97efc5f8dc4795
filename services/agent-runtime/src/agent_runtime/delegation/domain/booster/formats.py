"""Formats: JSON, CSV, YAML and Python, written evenly or checked."""

import ast
import csv
import io
import json
import warnings
from collections.abc import Callable, Mapping
from decimal import Decimal
from types import MappingProxyType
from typing import Any, NoReturn

import msgspec
import yaml

from agent_runtime.delegation.domain.booster.refusal import NotForBoosterError


def format_json(text: str) -> str:
    """Indent JSON by two spaces, keys in their order, numbers and texts letter for letter."""
    return _formatted(text, indent=2)


def sort_json(text: str) -> str:
    """Indent JSON by two spaces, keys sorted."""
    return json.dumps(_json(text), indent=2, ensure_ascii=False, sort_keys=True)


def minify_json(text: str) -> str:
    """Write JSON without spaces, numbers and texts letter for letter."""
    return _formatted(text, indent=-1)


def lint_json(text: str) -> str:
    """Say whether a text is JSON, and where it is not."""
    try:
        json.loads(text, parse_constant=_no_constant)
    except json.JSONDecodeError as error:
        return f"line {error.lineno}, column {error.colno}: {error.msg}"
    except ValueError as error:
        return str(error)
    return "valid JSON"


def lint_yaml(text: str) -> str:
    """Say whether a text is YAML, and where it is not."""
    try:
        for _ in yaml.parse(text, Loader=yaml.SafeLoader):
            pass
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark
        where = f"line {mark.line + 1}, column {mark.column + 1}: " if mark else ""
        return f"{where}{error.problem or error}"
    except yaml.YAMLError as error:
        return str(error)
    return "valid YAML"


def lint_python(text: str) -> str:
    """Say whether a text is Python by its grammar, and where it is not."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            ast.parse(text)
    except SyntaxError as error:
        return f"line {error.lineno or 1}, column {error.offset or 1}: {error.msg}"
    except ValueError as error:
        return str(error)
    return "valid Python"


def csv_to_json(text: str) -> str:
    """Make objects of the rows of a CSV whose first row names the columns."""
    rows = _csv(text)
    header = rows[0]
    if len(set(header)) < len(header) or any(len(row) != len(header) for row in rows):
        raise NotForBoosterError("the rows are not of one length, or two columns have one name")
    return json.dumps([dict(zip(header, row, strict=True)) for row in rows[1:]], indent=2, ensure_ascii=False)


def json_to_csv(text: str) -> str:
    """Make CSV of a list of objects with the same plain fields."""
    rows = _json(text)
    if not isinstance(rows, list) or not rows or not all(isinstance(row, dict) for row in rows):
        raise NotForBoosterError("this is no list of objects")
    header = list(rows[0])
    if any(list(row) != header or any(isinstance(value, dict | list) for value in row.values()) for row in rows):
        raise NotForBoosterError("the objects do not have the same plain fields")
    written = io.StringIO()
    writer = csv.writer(written, lineterminator="\n")
    writer.writerows([header, *([_cell(row[name]) for name in header] for row in rows)])
    return written.getvalue()


def _cell(value: Any) -> str:
    return value if isinstance(value, str) else "" if value is None else json.dumps(value)


def _formatted(text: str, *, indent: int) -> str:
    try:
        return msgspec.json.format(text, indent=indent)
    except (msgspec.DecodeError, UnicodeEncodeError) as error:
        raise NotForBoosterError(f"this is no JSON: {error}") from None


def _json(text: str) -> Any:
    try:
        return json.loads(text, parse_constant=_no_constant, parse_float=_float)
    except ValueError as error:
        raise NotForBoosterError(f"this is no JSON: {error}") from None


def _float(text: str) -> float:
    """Read a number that would be written as the same one again."""
    if Decimal(repr(float(text))) != Decimal(text):
        raise NotForBoosterError(f"{text[:32]} has more digits than can be kept")
    return float(text)


def _no_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON")


def _csv(text: str) -> list[list[str]]:
    try:
        rows = [row for row in csv.reader(io.StringIO(text), strict=True) if row]
    except csv.Error as error:
        raise NotForBoosterError(f"this is no CSV: {error}") from None
    if not rows:
        raise NotForBoosterError("there are no rows")
    return rows


FORMATS: Mapping[str, Callable[[str], str]] = MappingProxyType(
    {
        "format-json": format_json,
        "format-json-sorted": sort_json,
        "minify-json": minify_json,
        "lint-json": lint_json,
        "lint-yaml": lint_yaml,
        "lint-python": lint_python,
        "convert-csv-to-json": csv_to_json,
        "convert-json-to-csv": json_to_csv,
    }
)
