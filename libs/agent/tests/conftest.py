import sys
import threading
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from agent_doubles import Gateway, Ingest, pairing_with

from shoal_agent.state import StateDirectory


@pytest.fixture
async def ingest() -> AsyncIterator[Ingest]:
    server = Ingest()
    await server.start()
    yield server
    await server.stop()
    assert server.violations == []


@pytest.fixture
def paired(tmp_path: Path, ingest: Ingest) -> StateDirectory:
    """Return a state directory that is paired with the ingest."""
    state = StateDirectory.at(tmp_path / "state")
    state.save_pairing(pairing_with(ingest))
    return state


@pytest.fixture
def gateway() -> Iterator[Gateway]:
    server = Gateway()
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()
