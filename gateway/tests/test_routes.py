"""What the table of routes says, and what it says nothing about."""

from urllib.parse import quote

import pytest
from hypothesis import given, strategies as st

from gateway.routes import ROUTES, Access, find, match, safe_path
from shoal.http.families import family_of
from shoal.ids import may_stand_in_path

USER, PUBLIC, ANYONE = Access.USER, Access.PUBLIC, Access.AUTHENTICATED


@pytest.mark.parametrize(
    ("path", "service", "access", "family"),
    [
        ("/pairing", "pairing", USER, "clawdnet"),
        ("/pairing/init", "pairing", USER, "clawdnet"),
        ("/pairing/confirm", "pairing", PUBLIC, "clawdnet"),
        ("/pairing/confirm/x", None, None, None),
        ("/v1/agents", "pairing", ANYONE, "agentdrop"),
        ("/v1/connections/c/pairings", "pairing", ANYONE, "agentdrop"),
        ("/v1/pairings/p/confirm", "pairing", ANYONE, "agentdrop"),
        ("/v1/blocked/b", "pairing", ANYONE, "agentdrop"),
        ("/v1/api-keys", "gateway", USER, "agentdrop"),
        ("/telemetry", "telemetry-ingest", PUBLIC, "clawdnet"),
        ("/telemetry/ingest", "telemetry-ingest", ANYONE, "clawdnet"),
        ("/telemetry/metrics/agent_1", "metrics-query", USER, "clawdnet"),
        ("/telemetry/ingested", "metrics-query", USER, "clawdnet"),
        ("/api/sessions/a/messages", "agent-runtime", USER, "clawft"),
        ("/api/v2", "agent-runtime", USER, "clawft"),
        ("/api/auth/token", "gateway", PUBLIC, "clawft"),
        ("/api/health", "gateway", PUBLIC, "clawft"),
        ("/ws", "agent-runtime", PUBLIC, "clawft"),
        ("/ws/canvas", "agent-runtime", PUBLIC, "clawft"),
        ("/ws/chat/s1", "agent-runtime", PUBLIC, "clawft"),
        ("/api/v1/instances", "instance-orchestrator", USER, "claworc"),
        ("/api/v1/instances/7/logs", "instance-orchestrator", USER, "claworc"),
        ("/api/v1/settings", "instance-orchestrator", USER, "claworc"),
        ("/api/v1/users/7/instances", "instance-orchestrator", USER, "claworc"),
        ("/api/v1/instances/7/ssh-status", "ssh-manager", USER, "claworc"),
        ("/api/v1/instances/7/tunnels", "ssh-manager", USER, "claworc"),
        ("/api/v1/instances/7/rotate-ssh-key", "ssh-manager", USER, "claworc"),
        ("/api/v1/instances/7/desktop/websockify", "ssh-manager", USER, "claworc"),
        ("/api/v1/instances/7/control/", "ssh-manager", USER, "claworc"),
        ("/api/v1/instances/7/desktop/~t/vnc.html", "ssh-manager", PUBLIC, "claworc"),
        ("/api/v1/instances/7/control/~t", "ssh-manager", PUBLIC, "claworc"),
        ("/api/v1/instances/7/control/x/~t", "ssh-manager", USER, "claworc"),
        ("/api/v1/instances/7/terminal", "ssh-manager", USER, "claworc"),
        ("/api/v1/instances/7/terminals/3", "ssh-manager", USER, "claworc"),
        ("/api/v1/instances/ssh-7/logs", "instance-orchestrator", USER, "claworc"),
        ("/api/v1/ssh-audit-logs/purge", "ssh-manager", USER, "claworc"),
        ("/api/v1/ssh-metrics", "ssh-manager", USER, "claworc"),
        ("/api/v1/auth/login", "gateway", PUBLIC, "claworc"),
        ("/api/v1/users/7", "gateway", USER, "claworc"),
        ("/api/v1/users/7/instances/8", "gateway", USER, "claworc"),
        ("/api/v1/accounts", "gateway", USER, "claworc"),
        ("/health", "gateway", PUBLIC, "claworc"),
        ("/openapi.json", "gateway", PUBLIC, "claworc"),
        ("/docs", "gateway", PUBLIC, "claworc"),
    ],
)
def test_every_path_has_its_row(path, service, access, family):
    route = match(path.encode())
    if service is None:
        assert route is None
    else:
        assert route is not None
        assert (route.service, route.access, family_of(path).name) == (service, access, family)


@pytest.mark.parametrize(
    "path",
    [
        "", "//", "/internal/principal", "/internal", "/metrics", "/healthz", "/readyz", "/api/v1", "/api/v1/unknown",
        "/api/health/x", "/pairings", "/pairing2", "/v1", "/v1/unknown", "/ws/other", "/ws/chat", "/ws/chat/a/b",
        "/wsx", "/apix", "/telemetryx", "/Pairing", "/api/v1/settings/x", "/health/x", "/openapi.jsonx",
        "/openapi-json",
    ],
)  # fmt: skip
def test_nothing_else_is_routed(path):
    assert match(path.encode()) is None


def test_no_row_leads_inside():
    inside = ("/internal", "/metrics", "/healthz", "/readyz")
    assert not [route for route in ROUTES if route.path.startswith(inside)]


def test_rows_say_how_they_are_reached():
    assert match(b"/telemetry").websocket
    assert not match(b"/telemetry/ingest").websocket
    assert match(b"/telemetry/ingest").body_limit == 4 * 1024 * 1024
    assert match(b"/api/sessions/s/messages").timeout == 180
    assert (match(b"/api/memory/key").timeout, match(b"/api/memory/key").body_limit) == (30, 1024 * 1024)
    assert match(b"/api/v1/instances/7/logs").streaming
    assert not match(b"/pairing").streaming
    assert match(b"/api/v1/instances/7/terminal").body_limit == 64 * 1024


def test_nothing_is_foreign_but_what_a_ticket_opens():
    assert match(b"/api/v1/instances/7/control/~t/a").foreign
    assert {route.path for route in ROUTES if route.foreign} == {
        "/api/v1/instances/{id}/desktop/~*/**",
        "/api/v1/instances/{id}/control/~*/**",
    }


@pytest.mark.parametrize(
    "path", [b"/", b"/a", b"/a/", b"/a%20b", b"/%C3%A9", b"/a.b/..c/d..", b"/.well-known", b"/~x", b"/a;b=1", b"/%252e"]
)
def test_safe_paths_pass(path):
    assert safe_path(path)


@pytest.mark.parametrize(
    "path",
    [
        b"", b"*", b"a", b"http://other/a", b"//a", b"/a//b", b"/a//", b"/.", b"/..", b"/a/./b", b"/a/../b", b"/a/..",
        b"/%2e", b"/%2E%2e/b", b"/.%2e/b", b"/a/..;/b", b"/a%2fb", b"/a%2Fb", b"/a%5cb", b"/a\\b", b"/a%00", b"/a\x00",
        b"/a%0d%0ab", b"/a%1fb", b"/a%7f", b"/a b", b"/a\xc3\xa9", b"/a%", b"/a%2", b"/a%zz",
    ],
)  # fmt: skip
def test_paths_that_readers_could_read_differently_do_not(path):
    assert not safe_path(path)


@pytest.mark.parametrize(
    ("path", "row"),
    [
        (b"/api/memory/patterns%2Fauth", "/api/memory/**"),
        (b"/api/memory/a%2fb%2Fc%20d", "/api/memory/**"),
        (b"/api/delegation/rules/a%2Fb", "/api/delegation/rules/**"),
        (b"/api/v1/instances/7/control/~x/a%2Fb/c", "/api/v1/instances/{id}/control/~*/**"),
        (b"/api/v1/instances/7/desktop/a%2fb", "/api/v1/instances/{id}/desktop/**"),
        (b"/api/memory/a", "/api/memory/**"),
        (b"/api/delegation/active", "/api/**"),
    ],
)
def test_names_that_people_chose_may_hold_slashes(path, row):
    assert find(path).path == row


@pytest.mark.parametrize(
    "path",
    [
        b"/api/memory%2Fa", b"/api%2Fmemory/a", b"/%2Fapi/memory/a", b"/api/memory/..%2Fagents",
        b"/api/memory/%2e%2e%2Fa",
        b"/api/memory/a%2F..%2F..%2Fconfig", b"/api/memory/%2Fa", b"/api/memory/a%2F%2Fb", b"/api/memory/a%5Cb",
        b"/api/memory/a%2F%00", b"/api/agents/a%2Fb", b"/api/delegation/rules%2Fa", b"/pairing/a%2Fb",
        b"/api/v1%2Fusers", b"/api/v1/instances/7/control%2Fa", b"/api/v1/instances/7/control%2F~x/a",
        b"/api/v1/instances/7%2Fcontrol/~x/a", b"/api/v1/instances/7/control/~x/..%2F..%2F..%2Fstart",
        b"/api/v1/instances/7/control/~x/%2e%2e%2Fa", b"/api/v1/instances/7/start%2Fa",
    ],
)  # fmt: skip
def test_escaped_slashes_that_could_lead_elsewhere_do_not(path):
    assert find(path) is None


@given(st.text(max_size=20) | st.text(alphabet="./;\\a%", max_size=8))
def test_every_name_that_may_stand_in_a_path_can_be_asked_for(name):
    route = find(f"/api/memory/{quote(name, safe='')}".encode())
    if may_stand_in_path(name):
        assert route is not None
        assert route.path == "/api/memory/**"
