"""The file of authorized keys of an instance, edited over SFTP: never by a command that a key could become part of."""

import asyncio
import contextlib
import posixpath
import stat
from collections.abc import Callable

import asyncssh

from ssh_manager.keys.domain import MAX_FILE_BYTES, with_key, without_key

FOLDER, NAME, DRAFT = ".ssh", "authorized_keys", ".authorized_keys.shoal"
WITHIN_S = 15.0


async def authorize(connection: asyncssh.SSHClientConnection, public_key: str) -> None:
    """Let a key in beside those that are there; nothing happens if it is.

    Raises:
        OSError, TimeoutError, asyncssh.Error: That failed; the file is as it was.
    """
    await _edit(connection, lambda content: with_key(content, public_key))


async def withdraw(connection: asyncssh.SSHClientConnection, public_key: str) -> None:
    """Let a key in no longer; nothing happens if it is not there.

    Raises:
        OSError, TimeoutError, asyncssh.Error: That failed; the file is as it was.
    """
    await _edit(connection, lambda content: without_key(content, public_key))


async def _edit(connection: asyncssh.SSHClientConnection, edit: Callable[[bytes], bytes]) -> None:
    """Replace the file as a whole, in one move, keeping its mode: readers see the old or the new, never a part."""
    async with asyncio.timeout(WITHIN_S), connection.start_sftp_client() as sftp:
        file, mode = await _locate(sftp)
        before = await _read(sftp, file)
        after = edit(before)
        if after == before:
            return
        draft = posixpath.join(posixpath.dirname(file), DRAFT)
        attributes = asyncssh.SFTPAttrs(permissions=mode)
        flags = asyncssh.FXF_WRITE | asyncssh.FXF_CREAT | asyncssh.FXF_TRUNC
        async with sftp.open(draft, flags, attributes, encoding=None) as output:
            await output.setstat(attributes)
            await output.write(after)
            with contextlib.suppress(asyncssh.SFTPOpUnsupported):
                await output.fsync()
        await sftp.posix_rename(draft, file)


async def _locate(sftp: asyncssh.SFTPClient) -> tuple[str, int]:
    """Find the file, behind links too, and its mode; makes its folder."""
    path = posixpath.join(FOLDER, NAME)
    try:
        found = await sftp.stat(path)
    except asyncssh.SFTPNoSuchFile:
        with contextlib.suppress(asyncssh.SFTPError):  # it is there
            await sftp.mkdir(FOLDER, asyncssh.SFTPAttrs(permissions=0o700))
        return path, 0o600
    real = await sftp.realpath(path)
    return str(real), stat.S_IMODE(found.permissions or 0o600)


async def _read(sftp: asyncssh.SFTPClient, file: str) -> bytes:
    try:
        async with sftp.open(file, asyncssh.FXF_READ, encoding=None) as content:
            read: bytes = await content.read(MAX_FILE_BYTES + 1)
    except asyncssh.SFTPNoSuchFile:
        return b""
    if len(read) > MAX_FILE_BYTES:
        raise asyncssh.SFTPFailure("authorized_keys is larger than can be edited safely")
    return read
