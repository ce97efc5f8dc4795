"""How everything here is made, top to bottom.

A section per subject: its use cases, and beneath them what other subjects may ask of it.
"""

from functools import cached_property

from agent_runtime import ports, stand_ins
from agent_runtime.config import Config
from shoal.jobs import housekeeping
from shoal.resources import Component, Resources


class Factory:
    """Makes the use cases of a request and the components of the process."""

    def __init__(self, resources: Resources[Config]) -> None:
        self.resources = resources

    # sockets

    @cached_property
    def frames(self) -> ports.Frames:
        """The way to browsers."""
        return stand_ins.NoFrames()

    # memory

    def memories(self) -> ports.Memories:
        """What is remembered."""
        return stand_ins.NoMemories()

    # skills

    def skills(self) -> ports.Skills:
        """Packages of instructions."""
        return stand_ins.NoSkills()

    # configuration

    def configuration(self) -> ports.Configuration:
        """Defaults and providers."""
        return stand_ins.NoConfiguration()

    # delegation

    def delegations(self) -> ports.Delegations:
        """Work that is handed on."""
        return stand_ins.NoDelegations()

    # canvas

    def canvases(self) -> ports.Canvases:
        """What agents draw."""
        return stand_ins.NoCanvases()

    # monitoring

    def usage(self) -> ports.Usage:
        """Tokens and budgets."""
        return stand_ins.NoUsage()

    def pipeline_log(self) -> ports.PipelineLog:
        """Timed turns."""
        return stand_ins.NoPipelineLog()

    # what works beside requests

    def components(self) -> list[Component]:
        """List the components in the order of starting."""
        resources = self.resources
        return [
            resources.relay(),
            resources.job(housekeeping(resources.database)),
        ]
