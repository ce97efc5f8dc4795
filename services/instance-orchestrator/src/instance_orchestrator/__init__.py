"""Instances: deployments that host an agent each.

What an instance should be stands in rows, written by requests in one transaction. The reconciler makes it so, on this
machine (`local`) or on a cluster (`kubernetes`), again and again until nothing is left to do.
"""
