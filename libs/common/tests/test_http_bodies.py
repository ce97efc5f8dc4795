"""Which bodies are taken, and how others are refused."""

import json
from collections.abc import AsyncIterator
from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

import msgspec
import pytest
from msgspec import Meta

from shoal.http.app import MAX_BODY_BYTES
from shoal.wording import problem_in, readable

from .things import Strict, Thing, error_of
from .toy import Door

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest.mark.parametrize("path", ["/pairing/things", "/v1/things"])
@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b"nonsense",
        b"[]",
        b"null",
        b"{}",
        b'{"name": 1}',
        b'{"name": "x", "count": -1}',
        b'{"name": "x", "count": 1.5}',
        b'{"name": "x", "count": 123456789012345678901234567890}',
        b'{"name": "' + b"x" * 21 + b'"}',
        b'{"name": "\xff\xfe"}',
        b'{"name": "a\x00b"}',
        b'{"name": "a\\u0000b"}',
        b'{"name": "x", "inner": {"a\\u0000": 1}}',
        b'{"name": "x", "inner": {"a": "\\\\\\u0000"}}',
        b'{"name": "x", "inner": ' + b'{"a":' * 5000 + b"1" + b"}" * 5000 + b"}",
        b"[" * 200_000,
        b'{"name": "x", "count": NaN}',
        b'{"name": "\\ud800"}',
        '{"name": "x"}'.encode("utf-16"),
    ],
)
async def test_body_of_another_shape_is_a_validation_error_of_the_family(door: Door, path: str, body: bytes) -> None:
    answer = await door.client.post(path, content=body, headers={"content-type": "application/json"})
    told = error_of(answer)
    if path.startswith("/v1"):
        assert (told["status"], told["code"]) == (400, "VALIDATION_ERROR")
    else:
        assert (told["status"], told["code"]) == (422, "validation_error")


@pytest.mark.parametrize("query", ["q=%FF", "%C3=1", "a=1&q=%ED%A0%80"])
async def test_query_that_is_not_utf_8_is_refused(door: Door, query: str) -> None:
    answer = await door.client.delete(f"/pairing/things/1?{query}")
    assert (answer.status_code, error_of(answer)["code"]) == (422, "validation_error")
    assert (await door.client.delete("/pairing/things/1?q=%C3%A4+%E2%98%A0&%")).status_code == 200


async def test_field_that_does_not_hold_is_named(door: Door) -> None:
    told = error_of(await door.client.post("/pairing/things", json={"name": "x", "count": -1}))
    assert told["details"] == [{"field": "count", "message": "Expected `integer` >= 0"}]


@pytest.mark.parametrize(
    ("body", "field", "choices"),
    [
        ({"stripes": [{"colour": "pink"}]}, "stripes[0].colour", "red, blue"),
        ({"stripes": [{}, {"side": "top"}]}, "stripes[1].side", "left, right"),
        ({"flags": {"a": {"side": "top"}}}, "flags[...].side", "left, right"),
    ],
)
async def test_value_of_no_enumeration_is_told_with_those_there_are(
    door: Door, body: dict[str, Any], field: str, choices: str
) -> None:
    told = error_of(await door.client.put("/strict", json={"name": "x"} | body))
    (problem,) = told["details"]
    assert problem["field"] == field
    assert problem["message"].endswith(f"'{'pink' if 'red' in choices else 'top'}': one of {choices}")


async def test_parameter_of_no_enumeration_is_told_with_those_there_are(door: Door) -> None:
    told = error_of(await door.client.get("/paint?colour=pink"))
    assert told["message"] == "colour: Invalid enum value 'pink': one of red, blue"


@pytest.mark.parametrize(
    ("path", "headers", "message"),
    [
        ("/follow", {"last-event-id": "x"}, "Last-Event-ID: Expected `integer`, got `string`"),
        ("/follow?async=maybe", {}, "async: Expected `boolean`, got `string`"),
        ("/follow?after=-1", {}, "after: Expected `integer` >= 0"),
        ("/named", {}, "name: This parameter is needed."),
    ],
)
async def test_parameter_is_named_as_it_was_sent(door: Door, path: str, headers: dict[str, str], message: str) -> None:
    told = error_of(await door.client.get(path, headers=headers))
    field, _, problem = message.partition(": ")
    assert (told["message"], told["details"]) == (message, [{"field": field, "message": problem}])


@pytest.mark.parametrize(
    ("value", "shape", "message"),
    [
        ("", Annotated[str, Meta(min_length=1)], "Expected `string` of length >= 1"),
        ("1", float, "Expected `number`, got `string`"),
        ("1", int | None, "Expected `integer | null`, got `string`"),
        (1, bool, "Expected `boolean`, got `integer`"),
        (1.5, list[int], "Expected `array`, got `number`"),
        ([], dict[str, int], "Expected `object`, got `array`"),
        (True, datetime | int, "Expected `integer | string`, got `boolean`"),
        (1, UUID | None, "Expected `string | null`, got `integer`"),
        (7, Annotated[int, Meta(multiple_of=2)], "Expected `integer` that's a multiple of 2"),
        ("a", Annotated[str, Meta(pattern=r"^[0-9]+\Z")], "Must match ^[0-9]+$"),
        ("the `str` of a `float`", Literal["x"], "Invalid enum value 'the `str` of a `float`'"),
    ],
)
async def test_messages_speak_of_json(value: object, shape: Any, message: str) -> None:
    with pytest.raises(msgspec.ValidationError) as refused:
        msgspec.convert(value, shape)
    assert readable(str(refused.value)) == message


@pytest.mark.parametrize(
    ("value", "shape", "sentence"),
    [
        (7, dict[str, int], "Expected `object`, got `integer`"),
        ({"name": 7}, Thing, "name: Expected `string`, got `integer`"),
        ({"name": "x", "token": "a b"}, Thing, "token: Must match ^[A-Za-z0-9_-]{1,64}$"),
        ({}, Thing, "name: This field is needed."),
        ([{}], list[Thing], "[0].name: This field is needed."),
        ({"name": "x", "flags": {"a": {"side": "x"}}}, Strict, "flags[...].side: Invalid enum value 'x'"),
        ({"name": "x", "size": 1}, Strict, "size: There is no such field here."),
        ({"": 1}, dict[Annotated[str, Meta(min_length=1)], int], "Expected `string` of length >= 1 as a key"),
        ("x - at `$.y`", Literal["x"], "Invalid enum value 'x - at `$.y`'"),
    ],
)
async def test_problems_name_their_field_by_its_path(value: object, shape: Any, sentence: str) -> None:
    with pytest.raises(msgspec.ValidationError) as refused:
        msgspec.convert(value, shape)
    assert problem_in(refused.value).sentence == sentence


async def test_pattern_is_told_as_any_language_reads_it(door: Door) -> None:
    told = error_of(await door.client.post("/pairing/things", json={"name": "x", "token": "a b"}))
    assert told["message"] == "token: Must match ^[A-Za-z0-9_-]{1,64}$"


@pytest.mark.parametrize(
    ("body", "name"),
    [
        (b'{"name": "\\\\u0000"}', "\\u0000"),
        (b'{"name": "\\\\\\\\u0000"}', "\\\\u0000"),
        ('{"name": "ä☠"}'.encode(), "ä☠"),
        (b'{"name": "\\u0001"}', "\x01"),
    ],
)
async def test_text_that_only_looks_like_nul_is_taken(door: Door, body: bytes, name: str) -> None:
    answer = await door.client.post("/pairing/things", content=body, headers={"content-type": "application/json"})
    assert answer.status_code == 201
    assert answer.json()["name"] == name


@pytest.mark.parametrize(
    "content_type",
    ["application/json", "APPLICATION/JSON", "application/json;charset=utf-8", "application/merge-patch+json"],
)
async def test_json_of_any_name_is_taken(door: Door, content_type: str) -> None:
    answer = await door.client.post("/pairing/things", content=b'{"name": "x"}', headers={"content-type": content_type})
    assert answer.status_code == 201


@pytest.mark.parametrize(
    "content_type", ["", "text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "json"]
)
async def test_body_that_is_not_json_is_415(door: Door, content_type: str) -> None:
    headers = {"content-type": content_type} if content_type else {}
    answer = await door.client.post("/pairing/things", content=b'{"name": "x"}', headers=headers)
    assert error_of(answer)["code"] == "unsupported_media_type"
    assert answer.status_code == 415


async def test_body_where_none_is_needed_may_be_missing_but_not_anything_else(door: Door) -> None:
    assert (await door.client.delete("/pairing/things/1")).status_code == 200
    answer = await door.client.request("DELETE", "/pairing/things/1", content=b"x", headers={"content-type": "x/y"})
    assert answer.status_code == 415


async def test_handler_that_takes_other_media_types_gets_them_unread(door: Door) -> None:
    headers = {"content-type": "application/x-ndjson; charset=utf-8"}
    answer = await door.client.post("/lines", content=b'{"a": "\\u0000"}\n{', headers=headers)
    assert answer.json() == {"bytes": 17}
    assert (await door.client.post("/lines", content=b"x", headers={"content-type": "text/csv"})).status_code == 415


@pytest.mark.parametrize("chunked", [False, True])
async def test_body_too_large_is_413(door: Door, chunked: bool) -> None:  # noqa: FBT001
    body = b'{"name": "' + b"x" * MAX_BODY_BYTES + b'"}'

    async def pieces() -> AsyncIterator[bytes]:
        for start in range(0, len(body), 65536):
            yield body[start : start + 65536]

    answer = await door.client.post(
        "/pairing/things", content=pieces() if chunked else body, headers={"content-type": "application/json"}
    )
    assert answer.status_code == 413
    told = error_of(answer)
    assert told["code"] == "payload_too_large"
    assert told["message"] == f"The body is larger than the {MAX_BODY_BYTES} bytes that this route takes."


async def test_largest_body_is_taken(door: Door) -> None:
    body = json.dumps({"name": "x", "inner": {"a": ""}}).encode()
    body += b" " * (MAX_BODY_BYTES - len(body))
    answer = await door.client.post("/pairing/things", content=body, headers={"content-type": "application/json"})
    assert answer.status_code == 201


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b'{"name": "x', "The body is not JSON: it ends too early."),
        (b"nonsense", "JSON is malformed: invalid character (byte 4)"),
        (b'{"name": "a\\u0000b"}', "Text may not hold the character NUL."),
        (b"", "The request lacks a body, or has another shape than this route takes: send JSON."),
        *((body, "The body must be a JSON object.") for body in (b"[]", b'"x"', b"3", b"null")),
    ],
)
async def test_refusal_of_the_body_itself_names_the_field_without_a_name(door: Door, body: bytes, message: str) -> None:
    answer = await door.client.post("/pairing/things", content=body, headers={"content-type": "application/json"})
    told = error_of(answer)
    assert (told["message"], told["details"]) == (message, [{"field": "", "message": message}])


async def test_field_that_is_missing_is_named(door: Door) -> None:
    told = error_of(await door.client.post("/pairing/things", json={}))
    assert told["message"] == "name: This field is needed."
    assert told["details"] == [{"field": "name", "message": "This field is needed."}]
