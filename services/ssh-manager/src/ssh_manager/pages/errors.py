"""Refusals of pages."""

from shoal.errors import AppError, NotFoundError, TimedOutError, UnauthorizedError, UnavailableError


class TicketSpentError(UnauthorizedError):
    """This page's ticket is no longer good: open the page anew"""  # noqa: D415 - as its siblings

    code = "ticket_spent"


class NoPageError(NotFoundError):
    """There is nothing at this path."""


class PageUnreachableError(AppError):
    """The instance serves no page there right now."""

    code = "page_unreachable"
    status = 502


class PageTimeoutError(TimedOutError):
    """The instance's page did not answer in time."""

    code = "page_timeout"


class PageBusyError(UnavailableError):
    """Too much of this instance is being looked at; try again later."""

    code = "page_busy"
