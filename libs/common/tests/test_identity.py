"""Identity: what a token proves, and everything that it does not."""

import base64
import json
import time
from typing import Any

import jwt
import pytest

from shoal.identity import (
    LEEWAY_S,
    IdentityError,
    Issuer,
    Principal,
    Role,
    Verifier,
    Via,
    may_call,
    new_key_pair,
)

ALICE = Principal(
    via=Via.SESSION, account_id="acct_1", user_id="user_1", username="alice", role=Role.ADMIN, credential_id="login_1"
)


class Parties:
    """The gateway, two services, and a stranger who knows every public key."""

    def __init__(self) -> None:
        self.private: dict[str, str] = {}
        self.public: dict[str, str] = {}
        for name in ("gateway", "pairing", "toy"):
            self.private[name], self.public[name] = new_key_pair()
        self.stranger, _ = new_key_pair()
        self.verifier = Verifier("toy", self.public)

    def issuer(self, name: str) -> Issuer:
        return Issuer(name, self.private[name])

    def signed(self, issuer: str = "gateway", *, key: str | None = None, alg: str = "EdDSA", **changes: Any) -> str:
        """Sign whatever claims, where those that are not changed are in order."""
        now = int(time.time())
        claims = {
            "iss": issuer,
            "aud": "toy",
            "sub": "user:user_1",
            "iat": now,
            "exp": now + 60,
            "who": {"via": "session", "account_id": "acct_1", "user_id": "user_1"},
        } | changes
        claims = {name: value for name, value in claims.items() if value is not None}
        return jwt.encode(claims, key or self.private[issuer], algorithm=alg)

    def refuses(self, token: str) -> None:
        with pytest.raises(IdentityError):
            self.verifier.verify(token)


@pytest.fixture(scope="module")
def parties() -> Parties:
    return Parties()


@pytest.mark.parametrize(
    "principal",
    [
        ALICE,
        Principal(),
        Principal(source="192.0.2.1"),
        Principal(via=Via.AGENT_KEY, account_id="acct_1", agent_id="agent_1", credential_id="key_1"),
        Principal(via=Via.TELEMETRY_TOKEN, account_id="acct_1", agent_id="agent_1", pairing_id="pair_1"),
    ],
)
def test_gateway_speaks_for_users_agents_and_nobody(parties: Parties, principal: Principal) -> None:
    token = parties.issuer("gateway").issue(principal, audience="toy")
    assert parties.verifier.verify(token) == principal
    assert parties.verifier.verify(token) == principal


def test_service_speaks_for_itself(parties: Parties) -> None:
    principal = parties.verifier.verify(parties.issuer("pairing").issue_own(audience="toy"))
    assert (principal.via, principal.service, principal.subject) == (Via.SERVICE, "pairing", "service:pairing")
    assert not principal.is_user


@pytest.mark.parametrize(
    "principal",
    [
        ALICE,
        Principal(),
        Principal(via=Via.SERVICE, service="gateway"),
        Principal(via=Via.SERVICE, service="pairing", account_id="acct_1"),
        Principal(via=Via.SESSION, service="pairing", user_id="user_1", account_id="acct_1", role=Role.ADMIN),
        Principal(via=Via.API_KEY, service="pairing", user_id="user_1", account_id="acct_1"),
        Principal(via=Via.AGENT_KEY, agent_id="agent_1", account_id="acct_1"),
    ],
)
def test_service_cannot_claim_to_be_anybody_else(parties: Parties, principal: Principal) -> None:
    parties.refuses(parties.issuer("pairing").issue(principal, audience="toy"))


def test_gateway_cannot_claim_to_be_another_service(parties: Parties) -> None:
    parties.refuses(parties.issuer("gateway").issue(Principal(via=Via.SERVICE, service="pairing"), audience="toy"))


def test_claims_in_order_are_good_when_signed_by_hand(parties: Parties) -> None:
    assert parties.verifier.verify(parties.signed()).user_id == "user_1"


@pytest.mark.parametrize(
    "changes",
    [
        {"exp": int(time.time()) - LEEWAY_S - 5, "iat": int(time.time()) - 60},
        {"iat": int(time.time()) + 3000, "exp": int(time.time()) + 3030},
        {"exp": int(time.time()) + 3600},
        {"exp": "in an hour"},
        {"exp": str(int(time.time()) + 60)},
        {"exp": 1e308},
        {"exp": None},
        {"iat": None},
        {"aud": None},
        {"aud": "pairing"},
        {"aud": ["pairing"]},
        {"aud": ["toy", "pairing"]},
        {"sub": None},
        {"sub": "user:user_2"},
        {"sub": "anonymous"},
        {"who": None},
        {"who": "alice"},
        {"who": {"via": "magic"}},
        {"who": {"via": "session", "user_id": 1}},
        {"iss": None},
        {"iss": "pairing"},
        {"iss": "nobody"},
        {"nbf": int(time.time()) + 3000},
    ],
)
def test_claims_out_of_order_prove_nothing(parties: Parties, changes: dict[str, Any]) -> None:
    parties.refuses(parties.signed(key=parties.private["gateway"], **changes))


def test_token_of_a_stranger_proves_nothing(parties: Parties) -> None:
    parties.refuses(parties.signed(key=parties.stranger))


def test_token_of_another_service_in_the_gateways_name_proves_nothing(parties: Parties) -> None:
    parties.refuses(parties.signed(key=parties.private["pairing"]))


def test_unsigned_token_proves_nothing(parties: Parties) -> None:
    claims = jwt.decode(parties.signed(), options={"verify_signature": False})
    parties.refuses(jwt.encode(claims, None, algorithm="none"))


def test_public_key_is_no_shared_secret(parties: Parties) -> None:
    """The classical confusion: HS256 with the public key as its secret."""
    import hashlib  # noqa: PLC0415
    import hmac  # noqa: PLC0415

    def part(value: bytes) -> str:
        return base64.urlsafe_b64encode(value).rstrip(b"=").decode()

    body = parties.signed().split(".")[1]
    head = part(json.dumps({"alg": "HS256", "typ": "JWT"}).encode())
    signature = hmac.new(parties.public["gateway"].encode(), f"{head}.{body}".encode(), hashlib.sha256).digest()
    parties.refuses(f"{head}.{body}.{part(signature)}")


@pytest.mark.parametrize("token", ["", "x", "..", "a.b.c", "é.é.é", "x" * 100_000, "eyJhbGciOiJFZERTQSJ9.W10.x"])
def test_rubbish_proves_nothing(parties: Parties, token: str) -> None:
    parties.refuses(token)


def test_deeply_nested_claims_prove_nothing(parties: Parties) -> None:
    nested = base64.urlsafe_b64encode(b'{"a":' * 50_000 + b"1" + b"}" * 50_000).decode()
    parties.refuses(f"eyJhbGciOiJFZERTQSJ9.{nested}.x")


@pytest.mark.parametrize("index", [0, 1, 2])
def test_changed_token_proves_nothing(parties: Parties, index: int) -> None:
    parts = parties.signed().split(".")
    middle = len(parts[index]) // 2
    parts[index] = parts[index][:middle] + ("A" if parts[index][middle] != "A" else "B") + parts[index][middle + 1 :]
    parties.refuses(".".join(parts))


def test_lifetime_is_a_minute_at_most(parties: Parties) -> None:
    token = parties.issuer("gateway").issue(ALICE, audience="toy", lifetime_s=3600)
    claims = jwt.decode(token, options={"verify_signature": False})
    assert claims["exp"] - claims["iat"] == 60


def test_remembered_token_is_forgotten_when_it_expires(parties: Parties, monkeypatch: pytest.MonkeyPatch) -> None:
    token = parties.issuer("gateway").issue(ALICE, audience="toy", lifetime_s=30)
    assert parties.verifier.verify(token) == ALICE
    expired = time.time() + 30 + LEEWAY_S + 1
    monkeypatch.setattr("shoal.identity.time.time", lambda: expired)
    monkeypatch.setattr("jwt.api_jwt.datetime", _Frozen(expired))
    parties.refuses(token)


def test_remembering_is_bounded(parties: Parties, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Verifier, "MAX_REMEMBERED", 3)
    verifier = Verifier("toy", parties.public)
    for number in range(10):
        verifier.verify(parties.issuer("gateway").issue(Principal(source=f"192.0.2.{number}"), audience="toy"))
        assert len(verifier._checked) <= 3


def test_token_carries_no_secret_and_no_default(parties: Parties) -> None:
    claims = jwt.decode(
        parties.issuer("gateway").issue(Principal(), audience="toy"), options={"verify_signature": False}
    )
    assert claims["who"] == {}
    assert claims["sub"] == "anonymous"


@pytest.mark.parametrize("pem", ["", "rubbish", "-----BEGIN PUBLIC KEY-----\n-----END PUBLIC KEY-----"])
def test_keys_that_are_none_are_refused_at_once(pem: str) -> None:
    with pytest.raises(ValueError):
        Issuer("toy", pem)
    with pytest.raises(ValueError):
        Verifier("toy", {"gateway": pem})


def test_table_of_permitted_calls_decides() -> None:
    assert may_call("metrics-query", "pairing", "/internal/export")
    assert may_call("gateway", "ssh-manager", "/internal/openapi.json")
    assert not may_call("pairing", "pairing", "/internal/export")
    assert not may_call("metrics-query", "pairing", "/internal/openapi.json")
    assert not may_call("", "pairing", "/internal/export")


def test_roles_count_only_for_users() -> None:
    assert ALICE.is_user
    assert ALICE.is_admin
    assert not Principal(user_id="user_1", role=Role.ADMIN).is_user
    assert not Principal(via=Via.AGENT_KEY, agent_id="a", role=Role.ADMIN).is_admin


class _Frozen:
    """`datetime` as PyJWT uses it, at a moment of our choice."""

    def __init__(self, now: float) -> None:
        self._now = now

    def now(self, tz: Any = None) -> "_Frozen":
        return self

    def timestamp(self) -> float:
        return self._now
