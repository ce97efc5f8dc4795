"""Which instances a user may use."""

from typing import Annotated

from msgspec import Meta, Struct


class AssignmentView(Struct, frozen=True):
    """Answer of `GET /users/{id}/instances`, and body of `PUT`: the whole list."""

    instance_ids: Annotated[list[int], Meta(max_length=1000)]


class Done(Struct, frozen=True):
    """It is done."""

    status: str = "ok"
