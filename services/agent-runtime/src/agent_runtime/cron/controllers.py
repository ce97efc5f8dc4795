"""HTTP: the contract's paths and what Shoal adds to them."""

from litestar import Controller, delete, get, post, put

from agent_runtime.cron.schemas import ChangeJob, CreateJob, FiredView, FiringView, JobDeleted, JobView
from agent_runtime.cron.usecases.jobs import Jobs
from shoal.http.auth import require_user
from shoal.http.pagination import Limit
from shoal.identity import Principal


class CronController(Controller):
    """Turns that the clock asks for."""

    path = "/api/cron"
    tags = ("cron",)
    guards = (require_user,)

    @get("/", operation_id="listCronJobs", summary="List jobs")
    async def show_all(self, cron_jobs: Jobs, principal: Principal) -> list[JobView]:
        """List the account's jobs, oldest first."""
        return [JobView.from_domain(job) for job in await cron_jobs.list_for(principal.account_id)]

    @post("/", operation_id="createCronJob", summary="Create a job", status_code=201)
    async def create(self, data: CreateJob, cron_jobs: Jobs, principal: Principal) -> JobView:
        """Add a job: an agent is told the payload at every tick of the schedule."""
        return JobView.from_domain(await cron_jobs.create(data.to_job(principal.account_id)))

    @get("/{job_id:str}", operation_id="getCronJob", summary="Show a job")
    async def show(self, job_id: str, cron_jobs: Jobs, principal: Principal) -> JobView:
        """Show one job."""
        return JobView.from_domain(await cron_jobs.get(principal.account_id, job_id))

    @put("/{job_id:str}", operation_id="changeCronJob", summary="Change a job")
    async def change(self, job_id: str, data: ChangeJob, cron_jobs: Jobs, principal: Principal) -> JobView:
        """Change what is given; a new schedule counts from now on."""
        return JobView.from_domain(await cron_jobs.change(principal.account_id, job_id, data.changes))

    @delete("/{job_id:str}", operation_id="deleteCronJob", summary="Delete a job", status_code=200)
    async def remove(self, job_id: str, cron_jobs: Jobs, principal: Principal) -> JobDeleted:
        """Delete a job; a turn that it began goes on."""
        await cron_jobs.remove(principal.account_id, job_id)
        return JobDeleted()

    @post("/{job_id:str}/run", operation_id="runCronJob", summary="Run a job now", status_code=200)
    async def run(self, job_id: str, cron_jobs: Jobs, principal: Principal) -> FiredView:
        """Have a job fire now, enabled or not."""
        return FiredView(await cron_jobs.fire(principal.account_id, job_id))

    @get("/{job_id:str}/firings", operation_id="listCronFirings", summary="List a job's firings")
    async def firings(self, job_id: str, cron_jobs: Jobs, principal: Principal, limit: Limit = 100) -> list[FiringView]:
        """List when a job fired and what became of it, the newest first; kept for thirty days."""
        listed = await cron_jobs.history(principal.account_id, job_id, limit=limit)
        return [FiringView.from_domain(firing) for firing in listed]
