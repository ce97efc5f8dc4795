"""Accounts that trust each other (AgentDrop).

An account registers agents. Two accounts connect: one invites, the other accepts. Under a connection, an agent of one
is paired with an agent of the other: one side proposes who may send to whom, the other agrees. Only both layers
together let a file pass.
"""
