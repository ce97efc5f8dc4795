"""What can be refused here."""

from agent_runtime.errors import FieldRefusedError
from shoal.errors import ConflictError, NotFoundError


class JobNotFoundError(NotFoundError):
    """The account has no such job."""

    code = "cron_job_not_found"


class InvalidScheduleError(FieldRefusedError):
    """This is no schedule."""

    code = "invalid_schedule"


class TooManyJobsError(ConflictError):
    """The account has as many jobs as it may; delete one first."""

    code = "too_many_cron_jobs"


class JobBusyError(ConflictError):
    """Too many firings of this job have not ended yet."""

    code = "cron_job_busy"
