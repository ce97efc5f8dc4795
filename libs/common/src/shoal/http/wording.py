"""How msgspec's messages are told to callers, who know JSON and any language's patterns, but not Python."""

import re

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


def readable(message: str) -> str:
    """Write a message of msgspec's with JSON's types, and a pattern as other languages do."""
    if found := _UNLIKE.fullmatch(message):
        return f"Must match {found[1].replace(_PYTHONS_END, '$')}".replace(2 * "\\", "\\")
    return _OF_TYPES.sub(_in_json, message)


def _in_json(types: re.Match[str]) -> str:
    return " | ".join(_IN_JSON.get(name, name) for name in types[0].split(" | "))
