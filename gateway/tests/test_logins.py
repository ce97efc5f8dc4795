"""Signing in and out."""

import httpx


async def test_setup_makes_the_first_admin_and_signs_in(admin: httpx.AsyncClient) -> None:
    me = await admin.get("/api/v1/auth/me")
    assert me.status_code == 200
    assert me.json()["username"] == "admin"
    assert me.json()["role"] == "admin"
    assert (await admin.get("/api/v1/auth/setup-required")).json() == {"setup_required": False}
