"""HTTP: the audit log and allowed addresses, for admins."""

from typing import Annotated

from litestar import Controller, get, post, put
from litestar.params import Parameter

from shoal.http.auth import require_admin
from shoal.identity import Principal
from ssh_manager.audit.domain import Query, moment_of
from ssh_manager.audit.schemas import AddressesView, AllowAddresses, EntriesView, PurgedView
from ssh_manager.audit.usecases.addresses import AllowedAddresses
from ssh_manager.audit.usecases.log import AuditLog
from ssh_manager.ports import Access

MAX_NUMBER = 2**31 - 1
Number = Annotated[int, Parameter(ge=0, le=MAX_NUMBER)]
Text = Annotated[str | None, Parameter(max_length=200)]
Moment = Annotated[str | None, Parameter(description="A moment as RFC 3339.", max_length=64)]


class AuditController(Controller):
    """The audit log of the caller's account."""

    path = "/api/v1/ssh-audit-logs"
    tags = ("ssh audit",)
    guards = (require_admin,)

    @get("/", operation_id="listSshAuditLogs", summary="Query the audit log")
    async def list_entries(
        self,
        audit_log: AuditLog,
        principal: Principal,
        instance_id: Annotated[int | None, Parameter(ge=0, le=MAX_NUMBER)] = None,
        instance_name: Text = None,
        event_type: Text = None,
        username: Text = None,
        since: Moment = None,
        until: Moment = None,
        limit: Annotated[int, Parameter(ge=1, le=MAX_NUMBER, description="At most 1000 are shown.")] = 50,
        offset: Number = 0,
    ) -> EntriesView:
        """List entries, the newest first."""
        query = Query(
            instance_id=instance_id,
            instance_name=instance_name,
            event_type=event_type,
            username=username,
            since=moment_of(since, "since"),
            until=moment_of(until, "until"),
            limit=limit,
            offset=offset,
        )
        return EntriesView.from_domain(await audit_log.page(principal.account_id, query))

    @post("/purge", operation_id="purgeSshAuditLogs", summary="Delete old entries", status_code=200)
    async def purge(
        self,
        audit_log: AuditLog,
        principal: Principal,
        days: Annotated[int | None, Parameter(ge=1, le=36_500, description="How many days are kept.")] = None,
    ) -> PurgedView:
        """Delete what is older than the days given, or than those configured."""
        return PurgedView.from_domain(await audit_log.purge(principal.account_id, days=days))


class AddressController(Controller):
    """From where callers may reach an instance."""

    path = "/api/v1/instances/{instance_id:str}/ssh-allowed-ips"
    tags = ("ssh",)
    guards = (require_admin,)

    @get("/", operation_id="getSshAllowedIps", summary="Show allowed source addresses")
    async def show(
        self, instance_id: str, access: Access, allowed_addresses: AllowedAddresses, principal: Principal
    ) -> AddressesView:
        """Show the list; an empty one allows all."""
        instance = await access.instance(principal, instance_id)
        return AddressesView.from_domain(instance, await allowed_addresses.get(instance))

    @put("/", operation_id="replaceSshAllowedIps", summary="Replace allowed source addresses")
    async def replace(
        self,
        instance_id: str,
        data: AllowAddresses,
        access: Access,
        allowed_addresses: AllowedAddresses,
        principal: Principal,
    ) -> AddressesView:
        """Replace the list; an empty one allows all."""
        instance = await access.instance(principal, instance_id)
        kept = await allowed_addresses.replace(instance, data.allowed_ips, by=principal)
        return AddressesView.from_domain(instance, kept)
