"""Agent runtime: agents that run here.

Subjects, each with the same rooms: `agents` (who there is), `sessions` (what was said), `runs` (answering: the turn,
its models, tools and approvals), `memory`, `skills`, `cron`, `delegation`, `configuration`, `sockets`, `canvas`,
`channels`, `voice`, `monitoring`. They reach each other through `ports`, which the factory fills.
"""
