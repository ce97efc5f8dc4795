"""Fixtures come from shoal.testing."""

import pytest_asyncio

from shoal.testing.suite import ServiceUnderTest, Suite


@pytest_asyncio.fixture
async def pairing(suite: Suite) -> ServiceUnderTest:
    return await suite.start("pairing")
