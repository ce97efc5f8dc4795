"""Pages of instances: what they serve on their two ports, shown to whoever may use them.

Such a page is written by a stranger and shown under our address. So it is shown in a sandbox, in which it has no origin
and sends no cookie; what lets it fetch its own parts is a ticket in its path, good for nothing else.
"""
