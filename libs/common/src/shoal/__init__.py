"""What every Shoal service stands on: process, configuration, database, messages, HTTP, identity, observability.

It decides nothing; of the domain it knows who may ask and how refusals are spelled. A piece belongs here when three
services need it.
"""
