"""When to leave an upstream alone, and how often to try again."""

from collections.abc import Callable

from gateway.proxy.errors import CircuitOpenError


class Breaker:
    """Circuit breaker of one upstream.

    Closed, it counts failures in a row (no connection, no answer in time); `threshold` of them open it. Open,
    everyone is refused at once until a pause is over; then one request at a time is let through to probe, and
    the first success closes the breaker. The pause is `brief` while connections are refused: such a probe takes
    no time, and a service that starts is found as soon as it listens. When there was no answer in time, it is
    `pause`, and every probe without one doubles it up to `longest`. A probe holds its place for one pause only, a
    brief one excepted, so one that never reports back blocks nobody.
    """

    def __init__(
        self,
        clock: Callable[[], float],
        *,
        threshold: int = 5,
        brief: float = 0.25,
        pause: float = 1.0,
        longest: float = 5.0,
    ) -> None:
        self._clock = clock
        self._threshold = threshold
        self._brief = brief
        self._shortest = self._pause = pause
        self._longest = longest
        self._failures = 0
        self._closed_until = 0.0  # meaningful while open: when the next probe may pass
        self._is_probing = False

    @property
    def is_open(self) -> bool:
        """Whether requests are being refused but for probes."""
        return self._failures >= self._threshold

    def admit(self) -> None:
        """Let a request pass.

        Raises:
            CircuitOpenError: It must not; says when to try again.
        """
        if self._failures >= self._threshold:
            now = self._clock()
            if now < self._closed_until:
                raise CircuitOpenError(self._closed_until - now)
            self._closed_until = now + max(self._pause, self._shortest)  # it may wait for its answer
            self._is_probing = True

    def succeed(self) -> None:
        """Note that the upstream answered."""
        self._failures = 0

    def fail(self, *, was_refused: bool) -> None:
        """Note that the upstream could not be reached, or (not `was_refused`) did not answer in time."""
        if self.is_open and not self._is_probing:
            return  # it went out before the breaker opened, and tells nothing new
        pause = max(self._shortest, 2 * self._pause) if self.is_open else self._shortest
        self._failures += 1
        self._is_probing = False
        self._pause = self._brief if was_refused else min(pause, self._longest)
        self._closed_until = self._clock() + self._pause


class RetryBudget:
    """Bounds retries to a share of the requests, so that they cannot multiply an outage."""

    def __init__(self, *, share: float = 0.2, reserve: float = 3.0) -> None:
        self._share = share
        self._reserve = reserve
        self._tokens = reserve

    def earn(self) -> None:
        """Note a request."""
        if self._tokens < self._reserve:
            self._tokens += self._share

    def spend(self) -> bool:
        """Ask for one retry."""
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True
