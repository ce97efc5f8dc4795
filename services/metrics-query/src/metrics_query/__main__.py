"""Run this service alone: `python -m metrics_query`."""

import sys

from shoal.cli import main

sys.argv[1:] = ["run", "metrics-query"]
main()
