"""A gateway, its first account, and somebody who is signed in."""

from collections.abc import AsyncIterator

import httpx
import pytest_asyncio

from shoal.testing.suite import ServiceUnderTest, Suite

PASSWORD = "correct horse battery"


@pytest_asyncio.fixture
async def gateway(suite: Suite) -> ServiceUnderTest:
    return await suite.start("gateway")


@pytest_asyncio.fixture
async def browser(gateway: ServiceUnderTest) -> AsyncIterator[httpx.AsyncClient]:
    """Somebody with a cookie jar."""
    async with httpx.AsyncClient(base_url=gateway.url, timeout=20, trust_env=False) as client:
        yield client


@pytest_asyncio.fixture
async def admin(browser: httpx.AsyncClient) -> httpx.AsyncClient:
    """The first admin, signed in."""
    answer = await browser.post("/api/v1/auth/setup", json={"username": "admin", "password": PASSWORD})
    assert answer.status_code == 201, answer.text
    return browser
