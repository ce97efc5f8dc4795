"""What journeys, faults and benches stand on: a whole suite of processes, and those who knock at its door."""

from stack.accounts import Account, PairedAgent
from stack.running import Stack, running
from stack.sockets import ClosedError, TelemetrySocket, telemetry_socket

__all__ = ["Account", "ClosedError", "PairedAgent", "Stack", "TelemetrySocket", "running", "telemetry_socket"]
