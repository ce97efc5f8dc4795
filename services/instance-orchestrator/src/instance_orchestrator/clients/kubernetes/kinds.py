"""The kinds of objects that make an instance."""

from msgspec import Struct


class Kind(Struct, frozen=True):
    """A kind of namespaced object, and where the API serves it."""

    name: str
    plural: str
    group: str = ""

    @property
    def api_version(self) -> str:
        """What objects of it say at `apiVersion`."""
        return f"{self.group}/v1" if self.group else "v1"

    @property
    def path(self) -> str:
        """Where the API serves all of a namespace, with a place for the namespace."""
        root = f"/apis/{self.group}/v1" if self.group else "/api/v1"
        return f"{root}/namespaces/{{namespace}}/{self.plural}"


CONFIG_MAP = Kind("ConfigMap", "configmaps")
SECRET = Kind("Secret", "secrets")
VOLUME = Kind("PersistentVolumeClaim", "persistentvolumeclaims")
SERVICE = Kind("Service", "services")
DEPLOYMENT = Kind("Deployment", "deployments", "apps")
POD = Kind("Pod", "pods")

WATCHED = (DEPLOYMENT, SERVICE, CONFIG_MAP, VOLUME, POD)
"""Secrets are read by name only: who may list them may read all of them."""
