"""The gateway's word on the whole suite: how it is, and what it answers."""
