"""A page of the web, and nothing nearer."""

import codecs
import re
from html import unescape
from typing import Annotated

import httpx2
from msgspec import Meta, Struct

from agent_runtime.errors import ToolError
from agent_runtime.ports import Tool, ToolContext, ToolPolicy
from agent_runtime.tools.clients.made import FunctionTool
from shoal.outgoing import AnswerTooLargeError, Outgoing, OutgoingRefusedError, read

MAX_BYTES = 2 * 1024 * 1024
DEADLINE_S = 20.0
MAX_HOPS = 5
_SLOW = "punycode"  # takes minutes for a page that is made for it
_UNSAID = re.compile(r"(?is)<(script|style|title)\b(?![^<>]*/>).*?(?:</\1\s*>|\Z)|<!--.*?(?:-->|\Z)")
_BREAK = re.compile(r"(?i)<(?:br|/p|/div|/li|/tr|/h[1-6])\b[^<>]*>")
_TAG = re.compile(r"<[^<>]*>")  # none of these looks at a piece of a page twice: pages come from strangers
_BLANKS = re.compile(r"[ \t\r\f]+")
_LINES = re.compile(r"\n\s*\n+")


class WebFetch(Struct, frozen=True):
    """Which page."""

    url: Annotated[str, Meta(min_length=1, max_length=2048, description="http or https.")]


class Web:
    """Reads pages; each hop is judged where it is connected."""

    def __init__(self, outgoing: Outgoing) -> None:
        self._outgoing = outgoing

    def tools(self) -> list[Tool]:
        """Make the tool."""
        return [FunctionTool(self.web_fetch, WebFetch, policy=ToolPolicy.AUTO)]

    async def web_fetch(self, asked: WebFetch, _context: ToolContext) -> str:
        """Read a page of the web as text."""
        try:
            async with self._outgoing.client(
                timeout=DEADLINE_S, follow_redirects=True, max_redirects=MAX_HOPS
            ) as client:
                answer = await read(client, asked.url, max_bytes=MAX_BYTES, deadline_s=DEADLINE_S)
        except OutgoingRefusedError as error:
            raise ToolError(error.message) from error
        except AnswerTooLargeError as error:
            raise ToolError(f"The page is too large: {error}.") from error
        except (httpx2.HTTPError, httpx2.InvalidURL, UnicodeError, TimeoutError) as error:  # names are text too
            raise ToolError(f"The page cannot be read: {type(error).__name__} {error}".strip()) from error
        text = decoded(answer.content, answer.charset_encoding)
        told = page_text(text) if "html" in answer.headers.get("content-type", "") else text
        if not answer.is_success:
            raise ToolError(f"The page answered {answer.status_code}.\n{told}")
        return told


def decoded(content: bytes, charset: str | None) -> str:
    """Read text in the encoding that its sender names, if it is one of texts; in UTF-8 otherwise."""
    try:
        if codecs.lookup(charset or "utf-8").name != _SLOW:
            return content.decode(charset or "utf-8", "replace")
    except (LookupError, ValueError):
        pass
    return content.decode("utf-8", "replace")


def page_text(html: str) -> str:
    """Give what a page says, without its markup, in time that grows no faster than the page."""
    text = _TAG.sub("", _BREAK.sub("\n", _UNSAID.sub(" ", html)))
    return _LINES.sub("\n\n", _BLANKS.sub(" ", unescape(text))).strip()
