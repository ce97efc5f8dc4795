"""An instance: an agent in a folder of its own, with an SSH server, a screen, a gateway and a log.

Needs the extra `shoal-agent[instance]`.
"""
