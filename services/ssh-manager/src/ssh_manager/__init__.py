"""The ways into instances: one SSH connection to each, by a key of its own, and everything that goes through it.

Subjects know each other by `ports` only: `fleet` (which instances there are, and who may use them), `keys`, `links`
(the connections), `audit`, `tunnels`, `pages` and `terminals`.
"""
