"""Who is asking: a `Principal`, signed by whoever established it, verified by whoever acts on it.

The gateway signs the identity of every request that it forwards, the anonymous one included; services sign their own
calls to each other. A token is an Ed25519 JWT (RFC 8037) good for one audience and at most a minute. Only the issuer
holds its private key; everybody holds every public key. Claims carry no secret.
"""

import time
from collections.abc import Mapping
from enum import StrEnum
from typing import Any

import jwt
import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
    load_pem_public_key,
)
from msgspec import Struct

LIFETIME_S = 60
LEEWAY_S = 5
HEADER = b"x-shoal-identity"

GATEWAY = "gateway"

PERMITTED_CALLS: frozenset[tuple[str, str, str]] = frozenset(
    {
        # (who calls, whom, what)
        ("gateway", "*", "/internal/openapi.json"),
        ("gateway", "pairing", "/internal/principal"),
        ("telemetry-ingest", "pairing", "/internal/principal"),
        ("telemetry-ingest", "pairing", "/internal/export"),
        ("telemetry-ingest", "gateway", "/internal/principal"),
        ("agent-runtime", "gateway", "/internal/principal"),
        ("agent-runtime", "gateway", "/internal/credential"),
        ("agent-runtime", "gateway", "/internal/export"),
        ("metrics-query", "agent-runtime", "/internal/export"),
        ("metrics-query", "pairing", "/internal/export"),
        ("metrics-query", "gateway", "/internal/export"),
        ("pairing", "telemetry-ingest", "/internal/export"),
        ("pairing", "gateway", "/internal/export"),
        ("instance-orchestrator", "pairing", "/internal/pairings"),
        ("instance-orchestrator", "gateway", "/internal/export"),
        ("ssh-manager", "instance-orchestrator", "/internal/export"),
    }
)
"""Every call that one service may make to another; all others are refused."""


class Role(StrEnum):
    """What a user may do inside the account."""

    ADMIN = "admin"
    USER = "user"


class Via(StrEnum):
    """By what kind of credential somebody came in."""

    SESSION = "session"
    WEB_CHAT = "web_chat"
    """A user's token that is good for the web chat's routes alone."""
    API_KEY = "api_key"
    AGENT_KEY = "agent_key"
    TELEMETRY_TOKEN = "telemetry_token"  # noqa: S105 - a kind of credential, not one
    SERVICE = "service"
    NONE = "none"


_OF_USERS = frozenset({Via.SESSION, Via.WEB_CHAT, Via.API_KEY})


class Principal(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Somebody who asks: a user, an agent, a service, or nobody in particular."""

    via: Via = Via.NONE
    account_id: str = ""
    user_id: str = ""
    username: str = ""
    role: Role | None = None
    credential_id: str = ""
    """The login or key by which they came in: what a revocation names."""
    agent_id: str = ""
    pairing_id: str = ""
    service: str = ""
    source: str = ""
    """The caller's own address, as the gateway saw it."""

    @property
    def is_user(self) -> bool:
        """Whether a user of an account asks."""
        return bool(self.user_id) and self.via in _OF_USERS

    @property
    def is_admin(self) -> bool:
        """Whether an admin of an account asks."""
        return self.is_user and self.role is Role.ADMIN

    @property
    def subject(self) -> str:
        """The `sub` claim."""
        if self.service:
            return f"service:{self.service}"
        if self.user_id and self.is_user:
            return f"user:{self.user_id}"
        return f"agent:{self.agent_id}" if self.agent_id else "anonymous"


class IdentityError(Exception):
    """A token that proves nothing here; says why, for the log only."""


class Issuer:
    """Signs principals with one private key.

    Args:
        name: Who signs: the `iss` claim.
        private_pem: An Ed25519 key; anything else raises `ValueError`.
    """

    def __init__(self, name: str, private_pem: str) -> None:
        self.name = name
        self._key = _private_key(private_pem)

    def issue(self, principal: Principal, *, audience: str, lifetime_s: int = LIFETIME_S) -> str:
        """Sign a principal for one audience; good for `lifetime_s` seconds, a minute at most."""
        now = int(time.time())
        claims: dict[str, Any] = {
            "iss": self.name,
            "aud": audience,
            "sub": principal.subject,
            "iat": now,
            "exp": now + min(lifetime_s, LIFETIME_S),
            "who": msgspec.to_builtins(principal),
        }
        return jwt.encode(claims, self._key, algorithm="EdDSA")

    def issue_own(self, *, audience: str) -> str:
        """Sign this service's own identity for a call to another."""
        return self.issue(Principal(via=Via.SERVICE, service=self.name), audience=audience)


class Verifier:
    """Checks tokens meant for one audience; remembers those it has checked until they expire.

    Args:
        audience: Who we are.
        public_pems: Ed25519 keys by issuer; anything else raises `ValueError`.
    """

    MAX_REMEMBERED = 10_000

    def __init__(self, audience: str, public_pems: Mapping[str, str]) -> None:
        self._audience = audience
        self._keys = {issuer: _public_key(pem) for issuer, pem in public_pems.items()}
        self._checked: dict[str, tuple[float, Principal]] = {}

    def verify(self, token: str) -> Principal:
        """Read who is asking.

        Raises:
            IdentityError: Forged, expired, for somebody else, by somebody unknown, or claiming too much.
        """
        known = self._checked.get(token)
        if known is not None and known[0] > time.time():
            return known[1]
        claims = self._decode(token)
        principal = self._principal(claims)
        if len(self._checked) >= self.MAX_REMEMBERED:
            self._checked.clear()
        self._checked[token] = (float(claims["exp"]), principal)
        return principal

    def _decode(self, token: str) -> dict[str, Any]:
        try:
            issuer = str(jwt.decode(token, options={"verify_signature": False}).get("iss"))
            key = self._keys[issuer]
            return jwt.decode(
                token,
                key,
                algorithms=["EdDSA"],
                audience=self._audience,
                issuer=issuer,
                leeway=LEEWAY_S,
                options={"require": ["exp", "iat", "aud", "sub", "iss"]},
            )
        except (jwt.PyJWTError, KeyError, TypeError, ValueError, RecursionError) as error:
            raise IdentityError(f"{type(error).__name__}: {error}") from error

    def _principal(self, claims: dict[str, Any]) -> Principal:
        try:
            signed = msgspec.convert(claims, _Claims)
        except msgspec.ValidationError as error:
            raise IdentityError(str(error)) from error
        if signed.exp - signed.iat > LIFETIME_S or signed.who.subject != signed.sub:
            raise IdentityError("claims do not agree with each other")
        own = Principal(via=Via.SERVICE, service=signed.iss)
        if signed.who != own and (signed.iss != GATEWAY or signed.who.service):
            raise IdentityError("a service speaks for itself, and only the gateway for users and agents")
        return signed.who


class _Claims(Struct, frozen=True):
    """What a token says beside whom it is for."""

    iss: str
    aud: str
    sub: str
    iat: int
    exp: int
    who: Principal


def _private_key(pem: str) -> Ed25519PrivateKey:
    key = load_pem_private_key(pem.encode(), password=None)
    if not isinstance(key, Ed25519PrivateKey):
        raise ValueError("not an Ed25519 key")  # noqa: TRY004 - a value, as for a PEM that is none
    return key


def _public_key(pem: str) -> Ed25519PublicKey:
    key = load_pem_public_key(pem.encode())
    if not isinstance(key, Ed25519PublicKey):
        raise ValueError("not an Ed25519 key")  # noqa: TRY004 - a value, as for a PEM that is none
    return key


def new_key_pair() -> tuple[str, str]:
    """Make an Ed25519 key pair; returns (private PEM, public PEM)."""
    key = Ed25519PrivateKey.generate()
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    public = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    return private.decode(), public.decode()


def may_call(caller: str, callee: str, path: str) -> bool:
    """Tell whether the table of permitted calls has this one."""
    return (caller, callee, path) in PERMITTED_CALLS or (caller, "*", path) in PERMITTED_CALLS
