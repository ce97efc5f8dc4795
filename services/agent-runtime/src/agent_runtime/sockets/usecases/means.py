"""What every socket works with."""

from datetime import timedelta

from msgspec import Struct

from agent_runtime.sockets.instruments import Instruments
from agent_runtime.sockets.usecases.audiences import Audiences
from agent_runtime.sockets.usecases.credentials import Credentials
from agent_runtime.sockets.usecases.slots import Slots
from agent_runtime.sockets.usecases.sockets import Sockets
from shoal.clock import Clock


class Means(Struct, frozen=True):
    """What every socket works with.

    Args:
        auth_timeout: How long a socket may be nobody's.
        messages_per_second: How much one socket may send.
        quiet_for: After how long a silence a socket is told something.
    """

    clock: Clock
    credentials: Credentials
    sockets: Sockets
    slots: Slots
    audiences: Audiences
    instruments: Instruments
    auth_timeout: timedelta
    messages_per_second: int
    quiet_for: timedelta
