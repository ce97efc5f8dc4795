"""Ask the service in this container whether it is ready: 0 when it is. Needs nothing but Python's own library."""

import sys
import urllib.error
import urllib.request
from pathlib import Path

PORTS = Path("/opt/shoal/ports")
WITHIN_S = 3


def main() -> None:
    """Ask every service of this image that runs here; at least one must, and all that do must be ready."""
    asked = [said for port in PORTS.read_text().split() if (said := ask(port)) is not None]
    sys.exit(0 if asked and all(said == "ready" for said in asked) else f"not ready: {asked or 'nobody answers'}")


def ask(port: str) -> str | None:
    """Ask one port; None where nobody listens."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=WITHIN_S):
            return "ready"
    except urllib.error.HTTPError as error:
        return error.read(500).decode("utf-8", "replace")
    except OSError as error:
        return None if isinstance(getattr(error, "reason", error), ConnectionRefusedError) else repr(error)


if __name__ == "__main__":
    main()
