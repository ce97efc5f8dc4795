"""The list of doors, and what those who come in may ask for."""

from pairing.connections.controllers.access import Doorman
from pairing.connections.controllers.router import make_router
from pairing.credentials import CredentialController
from pairing.dashboard.controllers import InternalController, PairingController
from pairing.factory import Factory
from shoal.http.app import create_app as create_http_app
from shoal.http.door import Door


def create_app(factory: Factory) -> Door:
    """Make the application."""
    return create_http_app(
        factory.resources,
        controllers=[
            PairingController,
            InternalController,
            CredentialController,
            make_router(Doorman(factory.agent_keys())),
        ],
        dependencies={
            "pairings": factory.pairings,
            "credentials": factory.credentials,
            "agents": factory.agents,
            "agent_keys": factory.agent_keys,
            "profiles": factory.profiles,
            "connections": factory.connections,
            "agent_pairings": factory.agent_pairings,
        },
    )
