"""What this service is told, in the order of the chart's values."""

from datetime import timedelta
from pathlib import Path
from typing import Annotated

from shoal.config import Secret, ServiceConfig, check_public_url, shared


class Config(ServiceConfig, frozen=True, kw_only=True):
    """Settings of agent-runtime."""

    state: Annotated[Path, shared("SHOAL_STATE")] = Path(".shoal")
    """The installation's folder: workspaces of agents, and the key where none is given."""
    encryption_key: Secret | None = None
    """Keys that seal secrets, the current one first: `<id>:<32 bytes in base64>`, several separated by commas. Without
    it a key is made and kept in the state folder."""
    allow_private_addresses: bool = False
    """Whether models, tools and registries may be reached at addresses of this machine and its private networks."""
    outgoing_allowed: Annotated[str, shared("SHOAL_OUTGOING_ALLOWED")] = ""
    """What may be reached beside the public web: hosts, addresses and networks, each with or without a port, separated
    by commas, such as `127.0.0.1:11434, 10.0.0.0/8`."""
    embeddings: str = ""
    """The model that tells what texts mean, for memory: `provider/model`, asked with the account's own key; empty:
    memory goes by words alone."""
    skills_registry: str = ""
    """A registry of skills beside those that ship with the service; empty: none."""
    skills_registry_key: str = ""
    """The registry's public Ed25519 key (PEM), by which its packages are signed."""
    skills_allow_unsigned: bool = False
    """Whether packages are taken from the registry without a good signature."""
    cron_least_pause: timedelta = timedelta(seconds=10)
    """How often a job may fire at most."""
    cron_grace: timedelta = timedelta(seconds=60)
    """How late a tick may be seen and still be on time; what is older was missed."""
    delegation_timeout: timedelta = timedelta(minutes=10)
    """How long work that an agent hands on may take."""
    delegation_sweep: timedelta = timedelta(seconds=20)
    """How often handed-on work is looked for whose process is gone."""
    public_url: Annotated[str, shared("SHOAL_PUBLIC_URL", check=check_public_url)] = "http://127.0.0.1:8080"
    """Where the gateway is reached."""
    allow_exec_shell: bool = False
    """Whether agents may be given a shell of this machine at all; an agent's own policy decides further."""
    allow_mcp_stdio: bool = False
    """Whether MCP servers may be programs that are started on this machine."""
    telemetry_interval: timedelta = timedelta(seconds=5)
    """How often what agents did is told as telemetry."""
    run_lease: timedelta = timedelta(seconds=10)
    """How long after its last sign of life a process is taken for dead and its runs for interrupted."""
    answer_timeout: timedelta = timedelta(seconds=170)
    """How long a caller who waits for an answer is made to wait; the run itself goes on."""
    run_timeout: timedelta = timedelta(minutes=30)
    """How long one run may take, approvals not counted."""
    approval_timeout: timedelta = timedelta(hours=24)
    """How long a tool call may wait for somebody to approve it; then it is denied."""
    model_timeout: timedelta = timedelta(seconds=120)
    """How long a model may be silent."""
    socket_auth_timeout: timedelta = timedelta(seconds=5)
    """How long a socket may stay open without saying who it is."""
    socket_quiet_for: timedelta = timedelta(seconds=25)
    """After how long a silence a socket is sent a ping, so that nobody between forgets it."""
    socket_messages_per_second: int = 100
    """How much one socket may send; past that, reading pauses."""
    sockets_per_user: int = 50
    """How many sockets a user may hold open, over all processes."""
    socket_beat: timedelta = timedelta(seconds=1.5)
    """How often a process proves that its sockets are there."""
    socket_silent_for: timedelta = timedelta(seconds=6)
    """After how long without a beat a process' sockets count no more."""
    socket_revalidate_every: timedelta = timedelta(seconds=60)
    """How often a credential from a first frame is looked at again, beside hearing of its revocation."""
