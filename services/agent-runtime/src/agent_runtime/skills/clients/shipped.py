"""The packages that ship with the service: folders beside this room, each with its SKILL.md."""

from functools import cached_property
from importlib.resources import files

from agent_runtime.skills.domain.packages import FILE, Package, read_package
from agent_runtime.skills.domain.registries import BUILTIN, Offer


class ShippedPackages:
    """What can be installed on any machine, without any network."""

    @cached_property
    def _packages(self) -> dict[str, Package]:
        folders = sorted(files("agent_runtime.skills").joinpath("packages").iterdir(), key=lambda folder: folder.name)
        read = [read_package((folder / FILE).read_bytes()) for folder in folders if folder.joinpath(FILE).is_file()]
        return {f"{BUILTIN}{package.name}": package for package in read}

    def offers(self) -> list[Offer]:
        """List what ships, by the names of their folders."""
        return [
            Offer(
                id=package_id,
                name=package.name,
                description=package.description,
                version=package.version,
                author=package.author,
                tags=package.tags,
                signed=True,
            )
            for package_id, package in self._packages.items()
        ]

    def find(self, package_id: str) -> Package | None:
        """Find one by its id; ids are looked up, never taken for paths."""
        return self._packages.get(package_id)
