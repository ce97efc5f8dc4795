"""Run this service alone: `python -m telemetry_ingest`."""

import sys

from shoal.cli import main

sys.argv[1:] = ["run", "telemetry-ingest"]
main()
