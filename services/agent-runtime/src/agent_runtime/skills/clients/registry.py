"""A skill registry elsewhere, asked over HTTP.

It answers `GET /api/v1/skills/search?q&limit`, `GET /api/v1/skills/{id}` (both with `{"ok", "data"}`) and
`GET /api/v1/skills/{id}/download`. What it says is a stranger's word: bounded and checked item by item. A package is
taken only if it is signed with the registry's key (Ed25519 over the file's bytes, base64 in `signature`), unless the
operator waives that.
"""

import base64
import binascii
from typing import Annotated, Any
from urllib.parse import quote

import httpx2
import msgspec
import structlog
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from msgspec import Meta, Struct

from agent_runtime.skills.domain.archives import MAGIC, MAX_ARCHIVE_BYTES, skill_file
from agent_runtime.skills.domain.packages import Author, Description, Name, Package, Version, Words, read_package
from agent_runtime.skills.domain.registries import Offer
from agent_runtime.skills.errors import (
    InvalidPackageError,
    PackageNotFoundError,
    RegistryUnavailableError,
    UnsignedPackageError,
)
from shoal.outgoing import AnswerTooLargeError, Outgoing, OutgoingRefusedError, read

_MAX_LISTED_BYTES = 1024 * 1024
_LISTED = 100
_DEADLINE_S = 8.0


class _Item(Struct, frozen=True):
    """What a registry says of a package."""

    id: Annotated[str, Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9._@/-]{0,127}\Z")]
    name: Name
    description: Description
    version: Version = "0.0.0"
    author: Author | None = None
    stars: Annotated[int, Meta(ge=0, le=2**31)] = 0
    tags: Words = []
    signed: bool = False
    signature: Annotated[str, Meta(max_length=128)] = ""

    def offer(self) -> Offer:
        return Offer(
            id=self.id,
            name=self.name,
            description=self.description,
            version=self.version,
            author=self.author or "",
            stars=self.stars,
            tags=self.tags,
            signed=self.signed or bool(self.signature),
        )


class _Answer(Struct, frozen=True):
    data: Any = None


class Registry:
    """One registry.

    Args:
        url: Where it is.
        outgoing: Makes the client; a registry on this machine has to be allowed like everything else.
        key: Its public key; None if it has none.
        takes_unsigned: Whether packages without a good signature are taken.
    """

    def __init__(self, url: str, *, outgoing: Outgoing, key: Ed25519PublicKey | None, takes_unsigned: bool) -> None:
        self._url = url.rstrip("/")
        self._outgoing = outgoing
        self._key = key
        self._takes_unsigned = takes_unsigned

    async def search(self, asked: str) -> list[Offer]:
        """List what fits; nothing when the registry does not answer, which is logged."""
        try:
            answer = await self._get(f"/search?q={quote(asked, safe='')}&limit={_LISTED}", _MAX_LISTED_BYTES)
            listed = msgspec.json.decode(answer.content, type=_Answer).data
        except (RegistryUnavailableError, PackageNotFoundError, msgspec.DecodeError) as error:
            structlog.get_logger().warning("skill_registry_unavailable", reason=str(error))
            return []
        return [item.offer() for one in (listed if isinstance(listed, list) else [])[:_LISTED] if (item := _item(one))]

    async def fetch(self, package_id: str) -> Package:
        """Get a package.

        Raises:
            PackageNotFoundError: The registry has none of this id.
            UnsignedPackageError: It is not signed with the registry's key.
            InvalidPackageError: It is none.
            RegistryUnavailableError: The registry does not answer.
        """
        path = f"/{quote(package_id, safe='')}"
        try:
            said = msgspec.json.decode((await self._get(path, _MAX_LISTED_BYTES)).content, type=_Answer).data
        except msgspec.DecodeError as error:
            raise RegistryUnavailableError("The skill registry answers what cannot be read.") from error
        item = _item(said)
        if item is None or item.id != package_id:
            raise InvalidPackageError("The registry describes the package in a way that cannot be read.")
        content = (await self._get(f"{path}/download", MAX_ARCHIVE_BYTES)).content
        if not (self._takes_unsigned or self._is_signed(content, item.signature)):
            raise UnsignedPackageError
        package = read_package(skill_file(content) if content.startswith(MAGIC) else content)
        if package.name != item.name:
            raise InvalidPackageError("The package is called otherwise than the registry says.")
        return package

    def _is_signed(self, content: bytes, signature: str) -> bool:
        if self._key is None:
            return False
        try:
            self._key.verify(base64.b64decode(signature, validate=True), content)
        except (InvalidSignature, binascii.Error, ValueError):
            return False
        return True

    async def _get(self, path: str, max_bytes: int) -> httpx2.Response:
        try:
            async with self._outgoing.client(timeout=_DEADLINE_S) as client:
                url = f"{self._url}/api/v1/skills{path}"
                answer = await read(client, url, max_bytes=max_bytes, deadline_s=_DEADLINE_S)
        except (httpx2.HTTPError, TimeoutError, AnswerTooLargeError, OutgoingRefusedError) as error:
            raise RegistryUnavailableError(f"The skill registry does not answer ({type(error).__name__}).") from error
        if answer.status_code == httpx2.codes.NOT_FOUND:
            raise PackageNotFoundError
        if not answer.is_success:
            raise RegistryUnavailableError(f"The skill registry answers {answer.status_code}.")
        return answer


def _item(said: Any) -> _Item | None:
    """Read one item of a stranger's list; None where it is none."""
    try:
        return msgspec.convert(said, _Item)
    except msgspec.ValidationError:
        return None
