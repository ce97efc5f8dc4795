"""How msgspec's messages are told to callers, who know JSON and any language's patterns, but not Python."""

import re

import msgspec

from shoal.errors import FieldProblem

_UNLIKE = re.compile(r"Expected `str` matching regex '(.*)'")
_PYTHONS_END = r"\\Z"
_OF_TYPES = re.compile(r"(?<=Expected `)[\w| ]+(?=`)|(?<=got `)[\w| ]+(?=`)")
_IN_JSON = {
    "str": "string",
    "int": "integer",
    "float": "number",
    "bool": "boolean",
    **dict.fromkeys(("bytes", "date", "datetime", "decimal", "duration", "time", "timedelta", "uuid"), "string"),
}
_PLACED = re.compile(r"(.*) - at (`key` in )?`\$\.?(.*)`", re.DOTALL)
_OF_A_FIELD = re.compile(r"Object (missing required|contains unknown) field `([^`]+)`")


def readable(message: str) -> str:
    """Write a message of msgspec's with JSON's types, and a pattern as other languages do."""
    return _OF_TYPES.sub(_in_json, _UNLIKE.sub(_as_pattern, message))


def problem_in(error: msgspec.ValidationError) -> FieldProblem:
    """Name the field that did not hold, by its path, and say what is wrong with it."""
    if found := _PLACED.fullmatch(str(error)):
        message, is_key, path = found.groups()
        return problem_of(path, f"{message} as a key" if is_key else message)
    return problem_of("", str(error))


def problem_of(path: str, message: str) -> FieldProblem:
    """Say what msgspec's message about a place means for callers, who look for the field itself."""
    message = readable(message)
    found = _OF_A_FIELD.fullmatch(message)
    if found is None:
        return FieldProblem(path, message)
    is_missing = found[1] == "missing required"
    return FieldProblem(
        field=f"{path}.{found[2]}" if path else found[2],
        message="This field is needed." if is_missing else "There is no such field here.",
    )


def _as_pattern(found: re.Match[str]) -> str:
    return f"Must match {found[1].replace(_PYTHONS_END, '$')}".replace(2 * "\\", "\\")


def _in_json(types: re.Match[str]) -> str:
    return " | ".join(_IN_JSON.get(name, name) for name in types[0].split(" | "))
