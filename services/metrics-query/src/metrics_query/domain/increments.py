"""How many messages, errors, tokens, calls and millionths were gained in which minute, as told by minute rows.

Agents send rolling gauges ("142 messages in the hour before"), which can be neither summed nor averaged.
The increments are recovered like this, for each series (messages, errors, revenue, tokens; calls and revenue
of each skill) on its own. All times are whole seconds since 1970, rounded down; an agent's minute row holds
one reading, the last of that minute.

1. *Updates.* An update of a series is a minute row whose reading has its rolling gauge `v` or its counter
   `c` (messages: `messages_1h`, `messages_total`; errors: `errors_1h`, `errors_total`; revenue:
   `revenue_1h`, `revenue_total`; tokens: `tokens_total`, no gauge; a skill: `calls_1h` and `revenue_1h`, no
   counters). `t` is the timestamp and `u` the uptime in seconds of the same reading. Updates are taken in the
   order of their minutes.
2. *State* between updates: the time `p` of the last update; the counter `c'` of the last update, none if
   it had none; the last known uptime `u'`; the gains so far; a floor `f`, the time up to which the agent's
   own window was forgotten.
3. *Held.* A gain `g` at `b` that reaches back `r` seconds stands for `(b - r, b]`. At an update, `held` is
   the sum over all gains with `b > t - 3600` and `b > f` of `g - floor(g x / r)`, where `x` is how many of
   its seconds lie at or before `t - 3600`.
4. *Restart.* The agent restarted when `u` and `u'` are known and `u < u'`, or when `c` and `c'` are known
   and `c < c'`. It is *young* when `u` is known and below 3600.
5. *Gain* of the update:
   - `c` and `c'` known, no restart: `c - c'`.
   - `c` known, and a restart, or young on the very first update of the series: `c`; when young and `v` is
     known, `min(c, v)`.
   - otherwise with `v`: on a restart where `2 v < held` the agent's window is gone: `f := p` and
     `held := 0`. The gain is `max(0, v - held)`. Where `v < held` the difference stays in `held` as a debt
     that the next updates pay off, since the window keeps what was gained too much until it leaves.
   - otherwise 0.
6. *Reach.* The gain belongs to the time since the last update, an hour at most: `r = min(3600, t - p)`, 1 at
   least, and 3600 on the first update; a `p` in the last second of a minute is that minute's end, so that an agent
   can tell that a minute is over. Where it is what a counter gained since a start (`c` or `min(c, v)`) and `u` is
   known, `r` is no more than `u`, and 1 at least. Of that, what lies up to a moment `y` gets `floor(g (y - t + r) /
   r)`, and a minute the difference between its end and its start.
7. *Substitutes*, chosen hour by hour. In an hour without any update of errors, its error frames are the
   errors: each minute that has any gains them at its end with a reach of 60, and then `p` is the end of the
   hour. In an hour without any update of revenue, the revenue of its skills is the revenue: each minute to
   which their gains gave any gains the sum at its end with a reach of 60, and then `p` is the latest update
   of any of them, or `p` as it was if that is later. Either way there is no `c'` afterwards. Where the
   substitute has nothing to say either, the state stays as it was.

What is stored for an hour is its ledger: the gains of its own updates, and the state after them. A gain may
reach into the hour before, never further, so an hour's total is what its own updates and those of the next
hour gave to its minutes. The ledger of hour `h` depends on the minute rows of `h` and on the latest ledger
before it; of one more than an hour back only the state matters. So when rows of hour `h` change, it is
enough to look back one ledger, redo `h`, and go on with the next hour that has a ledger until a ledger
comes out as it was.
"""

from collections import deque
from collections.abc import Iterable, Iterator

from msgspec import Struct

MINUTE = 60
HOUR = 3600


class Update(Struct, frozen=True, gc=False):
    """What one minute row says of one series."""

    at: int
    rolling: int | None = None
    total: int | None = None
    uptime: int | None = None

    @property
    def is_young(self) -> bool:
        """Whether the agent is known to run for less than an hour."""
        return self.uptime is not None and self.uptime < HOUR


class Step(Struct, frozen=True, array_like=True, gc=False):
    """A gain: the second of its hour at which it was told, the seconds it reaches back over, the amount."""

    second: int
    reach: int
    gain: int


class Track(Struct, frozen=True, omit_defaults=True, gc=False):
    """One series in one hour: its gains, and the state after the last update (rule 2)."""

    steps: tuple[Step, ...] = ()
    last: int | None = None
    floor: int | None = None
    total: int | None = None
    uptime: int | None = None

    def increments(self, hour: int) -> Iterator[tuple[int, int]]:
        """Give (minute, increment), also of minutes in the hour before; a minute may come several times."""
        for step in self.steps:
            end = hour * HOUR + step.second
            start, given = end - step.reach, 0
            for minute in range(start // MINUTE, (end - 1) // MINUTE + 1):
                upto = step.gain * (min(end, (minute + 1) * MINUTE) - start) // step.reach
                if upto != given:
                    yield minute, upto - given
                given = upto

    @property
    def gains(self) -> dict[int, int]:
        """The gain of each update, by the minute of the hour in which it was told."""
        return {step.second // MINUTE: step.gain for step in self.steps}

    def without_steps(self) -> "Track":
        """Keep the state only."""
        return Track(last=self.last, floor=self.floor, total=self.total, uptime=self.uptime)


def follow(hour: int, updates: Iterable[Update], before: Track, *, is_next: bool) -> Track:
    """Turn one hour's updates into gains.

    Args:
        hour: Hours since 1970.
        updates: The hour's updates in the order of their minutes.
        before: The same series in the latest hour before that has a ledger.
        is_next: Whether that is the hour directly before.
    """
    window = _Window(hour, before.steps if is_next else (), before.floor)
    state, steps = before.without_steps(), []
    for update in updates:
        gain, floor, is_since_start = _gain(update, state, window.held(update.at))
        if floor != state.floor:
            window.forget()
        reach = HOUR if state.last is None else max(1, min(HOUR, update.at - _since(state.last)))
        if is_since_start and update.uptime is not None:
            reach = max(1, min(reach, update.uptime))
        uptime = state.uptime if update.uptime is None else update.uptime
        state = Track(last=update.at, floor=floor, total=update.total, uptime=uptime)
        if gain:
            steps.append(Step(update.at % HOUR, reach, gain))
            window.add(update.at, reach, gain)
    return Track(tuple(steps), state.last, state.floor, state.total, state.uptime)


def _gain(update: Update, state: Track, held: int) -> tuple[int, int | None, bool]:
    """Apply rules 4 and 5; returns the gain, the floor, and whether it is what a counter gained since a start."""
    rolling, total = update.rolling, update.total
    has_restarted = _fell(update.uptime, state.uptime) or _fell(total, state.total)
    if total is not None and state.total is not None and not has_restarted:
        return total - state.total, state.floor, False
    if total is not None and (has_restarted or (update.is_young and state.last is None)):
        gain = min(total, rolling) if update.is_young and rolling is not None else total
        return gain, state.floor, True
    if rolling is None:
        return 0, state.floor, False
    if has_restarted and 2 * rolling < held:
        return rolling, state.last, False
    return max(0, rolling - held), state.floor, False


def _since(last: int) -> int:
    return last + 1 if last % MINUTE == MINUTE - 1 else last


def _fell(now: int | None, then: int | None) -> bool:
    return now is not None and then is not None and now < then


class _Window:
    """The gains that may still stand in the hour before an update, in the order of their ends and starts."""

    def __init__(self, hour: int, steps: Iterable[Step], floor: int | None) -> None:
        self._gains: deque[tuple[int, int, int]] = deque()
        self._sum = 0
        start_of_hour = (hour - 1) * HOUR
        for step in steps:
            if floor is None or start_of_hour + step.second > floor:
                self.add(start_of_hour + step.second, step.reach, step.gain)

    def held(self, at: int) -> int:
        """Apply rule 3; moments must not go back."""
        edge = at - HOUR
        while self._gains and self._gains[0][0] <= edge:
            self._sum -= self._gains.popleft()[2]
        held = self._sum
        for end, reach, gain in self._gains:
            if end - reach >= edge:
                break
            held -= gain * (edge - end + reach) // reach
        return held

    def add(self, end: int, reach: int, gain: int) -> None:
        self._gains.append((end, reach, gain))
        self._sum += gain

    def forget(self) -> None:
        self._gains.clear()
        self._sum = 0
