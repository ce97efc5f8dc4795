"""A service whose routes make, change, list and refuse things, in several families."""

import asyncio
from enum import StrEnum
from typing import Annotated, Any, ClassVar, Literal

import httpx
import structlog
from litestar import Controller, Request, WebSocket, delete, get, post, put, websocket
from litestar.params import Parameter
from msgspec import Meta, Struct

from shoal import errors
from shoal.config import ServiceConfig
from shoal.errors import FieldProblem
from shoal.http.app import create_app
from shoal.http.auth import require_admin, require_permitted_service, require_session, require_user
from shoal.http.pagination import Limit, Page
from shoal.identity import Principal, Role, Via
from shoal.ids import SubjectToken
from shoal.resources import Resources
from shoal.service import Built

USER = Principal(via=Via.SESSION, account_id="acct_1", user_id="user_1", role=Role.USER)


class Thing(Struct, frozen=True):
    name: Annotated[str, Meta(max_length=20)]
    count: Annotated[int, Meta(ge=0, le=2**31 - 1)] = 0
    inner: dict[str, Any] | None = None
    token: SubjectToken = "x"


class Colour(StrEnum):
    RED = "red"
    BLUE = "blue"


class Stripe(Struct, frozen=True):
    colour: Colour | None = None
    side: Literal["left", "right"] = "left"


class Strict(Struct, frozen=True, forbid_unknown_fields=True):
    name: str
    stripes: list[Stripe] = []
    flags: dict[str, Stripe] = {}


class Circle(Struct, tag_field="shape", tag="circle"):
    radius: float


class Square(Struct, tag_field="shape", tag="square"):
    side: float


class AnyShape(Struct, frozen=True):
    shape: str
    described_as: ClassVar[Any] = Circle | Square


class FullError(errors.ConflictError):
    """No room is left."""

    code = "no_room_left"


class ThingController(Controller):
    """The same routes in several families."""

    @post("/things")
    async def make(self, data: Thing) -> Thing:
        return data

    @put("/things/{thing_id:str}")
    async def change(self, thing_id: str, data: Thing) -> dict[str, Any]:
        return {"id": thing_id, "name": data.name}

    @delete("/things/{thing_id:str}", status_code=200)
    async def drop(self, thing_id: str) -> dict[str, str]:
        return {"deleted": thing_id}

    @get("/things")
    async def list(
        self,
        limit: Limit = 2,
        after: int = 0,
    ) -> Page[int]:
        items = [number for number in range(5) if number >= after][:limit]
        following = items[-1] + 1 if items else 5
        return Page(items, next=str(following) if following < 5 else None)

    @get("/raise/{what:str}")
    async def fail(self, what: str) -> None:
        match what:
            case "full":
                raise FullError
            case "details":
                raise errors.ValidationError("No.", details=[FieldProblem("name", "too long")])
            case "later":
                raise errors.RateLimitedError(retry_after_s=2.4)
            case "secret":
                raise RuntimeError("canary-password")
            case "bare":
                raise errors.AppError("canary-password")


class PairingThings(ThingController):
    path: ClassVar[str] = "/pairing"  # type: ignore[misc]


class AgentDropThings(ThingController):
    path: ClassVar[str] = "/v1"  # type: ignore[misc]


class OtherController(Controller):
    @post("/lines", opt={"media_types": ("application/x-ndjson",)}, status_code=200)
    async def lines(self, request: Request[Any, Any, Any]) -> dict[str, int]:
        return {"bytes": len(await request.body())}

    @put("/strict")
    async def strict(self, data: Strict) -> Strict:
        return data

    @put("/shape")
    async def shape(self, data: AnyShape) -> AnyShape:
        return data

    @get("/paint")
    async def paint(self, colour: Colour = Colour.RED) -> str:
        return colour

    @get("/follow", media_type="text/event-stream")
    async def follow(
        self,
        last_event_id: Annotated[int, Parameter(header="Last-Event-ID", ge=0)] = 0,
        is_async: Annotated[bool, Parameter(query="async")] = False,
        after: Annotated[int, Parameter(ge=0)] = 0,
    ) -> None: ...

    @get("/named")
    async def named(self, name: str) -> str:
        return name

    @post("/perhaps", status_code=200)
    async def perhaps(self, data: Strict | None = None) -> Strict | None:
        return data

    @get("/who")
    async def who(self, principal: Principal) -> dict[str, str]:
        structlog.get_logger().info("asked")
        return {"who": principal.subject}

    @get("/user", guards=[require_user])
    async def user(self) -> None: ...

    @get("/admin", guards=[require_admin])
    async def admin(self) -> None: ...

    @get("/session", guards=[require_session])
    async def session(self) -> None: ...

    @get("/internal/export", guards=[require_permitted_service])
    async def export(self) -> None: ...

    @get("/slow")
    async def slow(self) -> dict[str, str]:
        await asyncio.sleep(0.3)
        return {"slow": "done"}

    @websocket("/socket")
    async def socket(self, socket: WebSocket[Any, Any, Any]) -> None:
        await socket.accept()
        text = await socket.receive_text()
        if text == "fail":
            raise RuntimeError("canary-password")
        await socket.send_text(text)
        await socket.close(4403)


def build(resources: Resources[ServiceConfig]) -> Built:
    app = create_app(resources, controllers=[PairingThings, AgentDropThings, OtherController], dependencies={})
    return Built(app=app, described=app.inside)


def error_of(answer: httpx.Response) -> dict[str, Any]:
    """Check the one error body and give what it tells."""
    body = answer.json()
    assert body.keys() == {"detail", "error", "request_id"}
    told: dict[str, Any] = body["error"]
    assert told.keys() == {"code", "message", "status", "details"}
    assert (told["status"], told["message"]) == (answer.status_code, body["detail"])
    assert body["request_id"] == answer.headers["x-request-id"]
    assert answer.headers["content-type"] == "application/json"
    return told
