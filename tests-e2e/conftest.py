"""A suite in processes of its own for the whole run, and what is said when a test fails."""

import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))

from stack import Stack, running  # noqa: E402 - it is on the path from here on

STACKS = pytest.StashKey[list[Stack]]()
SOON = {"METRICS_QUERY_ROLLUP_EVERY": "1s", "METRICS_QUERY_ROLLUP_AFTER": "2s"}


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add `--full`."""
    parser.addoption("--full", action="store_true", help="faults in full size, ten times what `make test` does")


def pytest_configure(config: pytest.Config) -> None:
    """Make room for the suites that run."""
    config.stash[STACKS] = []


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Run every test in the loop in which the suite was started: its processes belong to that loop."""
    for item in items:
        if HERE in item.path.parents and pytest_asyncio.is_async_test(item):
            item.add_marker(pytest.mark.asyncio(loop_scope="session"), append=False)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    """Add the last log lines of every service to the report of a failed test."""
    report = yield
    if report.failed:
        for stack in item.config.stash[STACKS]:
            report.sections += [(f"end of {name}", text) for name, text in stack.last_lines()]
    return report


@pytest.fixture(scope="session")
def size(pytestconfig: pytest.Config) -> int:
    """How many times as large as in CI."""
    return 10 if pytestconfig.getoption("--full") else 1


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def stack(tmp_path_factory: pytest.TempPathFactory, pytestconfig: pytest.Config) -> AsyncIterator[Stack]:
    """The suite that tests share; one that breaks something mends it again."""
    async with running(tmp_path_factory.mktemp("suite"), **SOON) as started:
        pytestconfig.stash[STACKS].append(started)
        yield started
        pytestconfig.stash[STACKS].remove(started)
