"""No sequence of requests lets anything pass that both sides have not agreed to, as things stand."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import httpx
from hypothesis import HealthCheck, Phase, settings, strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from pairing.connections.domain.pairings import AgentPairing, AgentPairingEnd, AgentPairingStatus, Permission
from shoal.errors import AppError
from shoal.testing.suite import user

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)
SIDES = st.sampled_from(["alice", "bob"])
PERMISSIONS = st.sampled_from(["both", "send_only", "receive_only"])
FLIPPED = {"both": "both", "send_only": "receive_only", "receive_only": "send_only"}
KEY = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="
OTHER = {"alice": "bob", "bob": "alice"}


class Terms(RuleBasedStateMachine):
    """The rules of one agent pairing alone, many times over: fast, so that every short sequence is met."""

    def __init__(self) -> None:
        super().__init__()
        self.pairing: AgentPairing | None = None
        self.agreed: dict[str, Permission] = {}
        """From a side to the permission that it agreed to last, as alice sees it."""

    @initialize(side=SIDES, permission=PERMISSIONS)
    def propose(self, side: str, permission: str) -> None:
        """Begin as the repository does."""
        self.pairing = AgentPairing(
            id=uuid4(),
            connection_id=uuid4(),
            proposer_account_id=side,
            proposer_agent_id=uuid4(),
            target_account_id=OTHER[side],
            target_agent_id=uuid4(),
            permission=Permission(permission),
            status=AgentPairingStatus.PENDING,
            awaiting_account_id=OTHER[side],
            version=1,
            created_at=NOW,
            confirmed_at=None,
            revoked_at=None,
            revoked_reason=None,
        )
        self.agreed = {side: Permission(_as_alice(side, permission))}

    @rule(side=SIDES)
    def confirm(self, side: str) -> None:
        seen = self.pairing.permission_of(side)
        if self._becomes(lambda pairing: pairing.confirmed(side, at=NOW, meaning=None)):
            self.agreed[side] = Permission(_as_alice(side, seen))

    @rule(side=SIDES, permission=PERMISSIONS)
    def change(self, side: str, permission: str) -> None:
        if self._becomes(lambda pairing: pairing.changed(Permission(permission), side)):
            self.agreed = {side: Permission(_as_alice(side, permission))}

    @rule(side=SIDES, is_rejection=st.booleans(), is_meant=st.integers(0, 3))
    def end(self, side: str, is_rejection: bool, is_meant: int) -> None:  # noqa: FBT001 - drawn by name
        if is_meant or not self._becomes(
            lambda pairing: (
                pairing.rejected(side, at=NOW) if is_rejection else pairing.revoked(AgentPairingEnd.DELETED, at=NOW)
            )
        ):
            return
        self.agreed = {}

    @invariant()
    def nothing_passes_without_both_consents_and_everything_with_them(self) -> None:
        if self.pairing is None:
            return
        agreed = self.agreed.get("alice")
        may = agreed is not None and self.agreed.get("bob") is agreed
        assert self.pairing.lets_send("alice") is (may and agreed is not Permission.RECEIVE_ONLY)
        assert self.pairing.lets_send("bob") is (may and agreed is not Permission.SEND_ONLY)

    def _becomes(self, change: Callable[[AgentPairing], AgentPairing]) -> bool:
        try:
            changed = change(self.pairing)
        except AppError:
            return False
        assert changed.version == self.pairing.version + 1
        self.pairing = changed
        return True


class Consent(RuleBasedStateMachine):
    """Connections, agents and pairings through the door.

    What each side has agreed to is kept beside the service, from nothing but the requests that succeeded.
    """

    sides: dict[str, Any]

    def __init__(self) -> None:
        super().__init__()
        self.clients = {name: _sync(side) for name, side in self.sides.items()}
        self.connection = ""
        self.connected_by: set[str] = set()
        self.pairing = ""
        self.agreed: dict[str, str] = {}
        """From a side to the permission that it agreed to last, as alice sees it."""
        self.agents: dict[str, str] = {}
        self.have_keys: set[str] = set()
        self.asked = "alice"

    def ask(self, side: str, method: str, path: str, body: Any = None) -> Any:
        """Ask as a side; None when refused."""
        answer = self.clients[side].request(method, f"/v1{path}", json=body)
        assert answer.status_code < 500, answer.text
        return answer.json() if answer.is_success else None

    @initialize(stage=st.sampled_from([3, 2, 1, 0]), side=SIDES, permission=PERMISSIONS)
    def begin(self, stage: int, side: str, permission: str) -> None:
        """Start with two agents, and mostly with more."""
        for owner in OTHER:
            self.register(owner)
        if stage > 0:
            self.invite(side)
            self.accept(OTHER[side])
        if stage > 1:
            self.propose(side, permission)
        if stage > 2:
            self.confirm(OTHER[side])

    def teardown(self) -> None:
        """Leave two accounts that have nothing to do with each other."""
        for side in OTHER:
            self.ask(side, "DELETE", f"/connections/{self.connection or uuid4()}")
            self.unblock(side)
            self.clients[side].close()

    # what brings consent about, or takes it back

    @precondition(lambda self: not self.connected_by)
    @rule(side=SIDES)
    def invite(self, side: str) -> None:
        if invited := self.ask(side, "POST", "/connections", {"email": f"{OTHER[side]}@example.com"}):
            self.connection, self.connected_by = invited["id"], {side}

    @precondition(lambda self: len(self.connected_by) == 1)
    @rule(side=SIDES)
    def accept(self, side: str) -> None:
        if self.ask(side, "POST", f"/connections/{self.connection}/accept"):
            self.connected_by.add(side)

    @precondition(lambda self: self.connected_by and not self.agreed)
    @rule(side=SIDES, permission=PERMISSIONS)
    def propose(self, side: str, permission: str) -> None:
        agents = {"my_agent_id": self.agents[side], "their_agent_id": self.agents[OTHER[side]]}
        path = f"/connections/{self.connection}/pairings"
        if proposed := self.ask(side, "POST", path, agents | {"permission": permission}):
            self.pairing, self.agreed = proposed["id"], {side: _as_alice(side, permission)}

    @precondition(lambda self: len(self.agreed) == 1)
    @rule(side=SIDES)
    def confirm(self, side: str) -> None:
        seen = self.ask(side, "GET", f"/pairings/{self.pairing}")
        if self.ask(side, "POST", f"/pairings/{self.pairing}/confirm"):
            self.agreed[side] = _as_alice(side, seen["permission"])

    @precondition(lambda self: self.agreed)
    @rule(side=SIDES, permission=PERMISSIONS)
    def change(self, side: str, permission: str) -> None:
        if self.ask(side, "PATCH", f"/pairings/{self.pairing}", {"permission": permission}):
            self.agreed = {side: _as_alice(side, permission)}

    # what ends it

    @rule(side=SIDES, what=st.sampled_from(["reject", "revoke", "disconnect", "replace", "reject", "delete", "block"]))
    def spoil(self, side: str, what: str) -> None:
        {
            "revoke": lambda: self.end_pairing(side, "DELETE", ""),
            "reject": lambda: self.end_pairing(side, "POST", "/reject"),
            "delete": lambda: self.end_connection(side, "DELETE", ""),
            "block": lambda: self.end_connection(side, "POST", "/block"),
            "disconnect": lambda: self.disconnect(side),
            "replace": lambda: self.replace(side),
        }[what]()

    @rule(side=SIDES)
    def mend(self, side: str) -> None:
        """Take away what keeps the two from starting again, and try what no longer may be."""
        self.unblock(side)
        if side not in self.have_keys:
            self.replace(side)
        if len(self.agreed) == 2:
            assert self.ask(side, "POST", f"/pairings/{self.pairing}/confirm") is None
        if self.pairing and not self.agreed:
            assert self.ask(side, "POST", f"/pairings/{self.pairing}/confirm") is None
            assert self.ask(side, "PATCH", f"/pairings/{self.pairing}", {"permission": "both"}) is None

    def end_pairing(self, side: str, method: str, tail: str) -> None:
        if self.pairing and self.ask(side, method, f"/pairings/{self.pairing}{tail}"):
            self.agreed = {}

    def end_connection(self, side: str, method: str, tail: str) -> None:
        if self.connection and self.ask(side, method, f"/connections/{self.connection}{tail}"):
            self.connected_by, self.agreed = set(), {}

    def unblock(self, side: str) -> None:
        for block in self.ask(side, "GET", "/blocked")["blocked"]:
            assert self.ask(side, "DELETE", f"/blocked/{block['id']}")

    def register(self, side: str) -> None:
        body = {"agent_id": f"a{uuid4().hex}", "public_key": KEY, "available_for_connections": True}
        self.agents[side] = self.ask(side, "POST", "/agents/register", body)["id"]
        self.have_keys.add(side)

    def disconnect(self, side: str) -> None:
        if self.ask(side, "POST", f"/agents/{self.agents[side]}/disconnect"):
            self.have_keys.discard(side)

    def replace(self, side: str) -> None:
        assert self.ask(side, "DELETE", f"/agents/{self.agents[side]}")
        self.agreed = {}
        self.register(side)

    # the promise

    @invariant()
    def nothing_passes_without_both_consents_and_everything_with_them(self) -> None:
        if not self.agents:
            return
        agreed = self.agreed.get("alice")
        both = agreed is not None and self.agreed.get("bob") == agreed
        may = both and self.connected_by == self.have_keys == set(OTHER)
        allowed = {"alice": may and agreed != "receive_only", "bob": may and agreed != "send_only"}
        self.asked = OTHER[self.asked]
        mine, theirs = self.agents[self.asked], self.agents[OTHER[self.asked]]
        told = self.ask(self.asked, "GET", f"/agents/{mine}/can-send?to={theirs}")
        assert told == {"can_send": allowed[self.asked], "can_receive": allowed[OTHER[self.asked]]}


def test_no_sequence_of_terms_lets_pass_what_one_side_did_not_agree_to() -> None:
    run_state_machine_as_test(Terms, settings=settings(max_examples=200, database=None))


async def test_no_sequence_of_requests_lets_pass_what_one_side_did_not_agree_to(
    make_world: Callable[..., Awaitable[Any]],
) -> None:
    world = await make_world(PAIRING_INVITES_PER_HOUR="1000000")
    machine: Any = type("Consent", (Consent,), {"sides": dict(zip(OTHER, await world.meet(*OTHER), strict=True))})
    bounds = settings(
        max_examples=10,
        stateful_step_count=20,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        phases=[Phase.generate],
        database=None,
        report_multiple_bugs=False,
    )
    await asyncio.to_thread(run_state_machine_as_test, machine, settings=bounds)


def _as_alice(side: str, permission: str) -> str:
    return permission if side == "alice" else FLIPPED[permission]


def _sync(side: Any) -> httpx.Client:
    """Make a client for a thread of its own, since the machine does not wait in our loop."""
    service = side.world.pairing
    principal = user(side.account_id, f"user_{side.account_id}")
    headers = {"x-shoal-identity": service.token(principal)}
    return httpx.Client(base_url=service.url, headers=headers, timeout=20, trust_env=False)
