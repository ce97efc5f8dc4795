"""HTTP: the contract's paths and what Shoal adds to them."""

from typing import Annotated

from litestar import Controller, delete, get, post
from litestar.params import Parameter

from agent_runtime.memory.schemas import EntryForgotten, EntryView, KeepEntry
from agent_runtime.memory.usecases import Memories
from shoal.http.auth import require_user
from shoal.http.pagination import Limit
from shoal.identity import Principal

Asked = Annotated[str, Parameter(query="q", max_length=500)]
Threshold = Annotated[float, Parameter(ge=0, le=1)]
Offset = Annotated[int, Parameter(ge=0, le=1_000_000)]
Named = Annotated[str, Parameter(max_length=64)]


class MemoryController(Controller):
    """What the account's agents remember."""

    path = "/api/memory"
    tags = ("memory",)
    guards = (require_user,)

    @get("/", operation_id="listMemory", summary="List entries")
    async def show_all(
        self,
        memories: Memories,
        principal: Principal,
        namespace: Named = "",
        tag: Named = "",
        limit: Limit = 1000,
        offset: Offset = 0,
    ) -> list[EntryView]:
        """List entries, the newest first; of one namespace, or with one tag, if asked."""
        listed = await memories.list_for(principal.account_id, namespace=namespace, tag=tag, limit=limit, offset=offset)
        return [EntryView.from_domain(entry) for entry in listed]

    @get("/search", operation_id="searchMemory", summary="Search entries")
    async def search(
        self,
        memories: Memories,
        principal: Principal,
        asked: Asked = "",
        threshold: Threshold = 0.0,
        namespace: Named = "",
        limit: Limit = 50,
    ) -> list[EntryView]:
        """Find entries by words, most similar first: 0.8 to 1 hold the words, below 0.3 has nothing to do with them."""
        found = await memories.find(principal.account_id, asked, namespace=namespace, threshold=threshold, limit=limit)
        return [EntryView.from_found(one) for one in found]

    @post("/", operation_id="keepMemory", summary="Remember something", status_code=200)
    async def keep(self, data: KeepEntry, memories: Memories, principal: Principal) -> EntryView:
        """Keep an entry in place of what stands under its key."""
        kept = await memories.keep(principal.account_id, data.key, data.value, namespace=data.namespace, tags=data.tags)
        return EntryView.from_domain(kept)

    @get("/{key:path}", operation_id="getMemory", summary="Show an entry")
    async def show(self, key: str, memories: Memories, principal: Principal) -> EntryView:
        """Show what stands under a key."""
        return EntryView.from_domain(await memories.get(principal.account_id, key.removeprefix("/")))

    @delete("/{key:path}", operation_id="deleteMemory", summary="Forget something", status_code=200)
    async def remove(self, key: str, memories: Memories, principal: Principal) -> EntryForgotten:
        """Forget what stands under a key."""
        await memories.remove(principal.account_id, key.removeprefix("/"))
        return EntryForgotten()

    @delete("/search", status_code=200, include_in_schema=False)
    async def remove_search(self, memories: Memories, principal: Principal) -> EntryForgotten:
        """Forget what stands under the key `search`, whose path is also the search's."""
        await memories.remove(principal.account_id, "search")
        return EntryForgotten()
