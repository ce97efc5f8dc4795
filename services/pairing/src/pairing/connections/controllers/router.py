"""The paths of this subject, behind one doorman."""

from litestar import Router

from pairing.connections.controllers.access import Doorman, tell_candidates
from pairing.connections.controllers.agents import AgentController, AgentKeyController
from pairing.connections.controllers.connections import BlockController, ConnectionController
from pairing.connections.controllers.pairings import AgentPairingController, ConnectionPairingController
from pairing.connections.errors import AmbiguousRecipientError


def make_router(doorman: Doorman) -> Router:
    """List the doors below `/v1`."""
    return Router(
        path="/v1",
        route_handlers=[
            AgentController,
            AgentKeyController,
            ConnectionController,
            BlockController,
            ConnectionPairingController,
            AgentPairingController,
        ],
        guards=[doorman.admit],
        exception_handlers={AmbiguousRecipientError: tell_candidates},
    )
