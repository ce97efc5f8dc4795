"""Rules of the proxy that need no socket."""

import pytest

from gateway.proxy.breaker import Breaker, RetryBudget
from gateway.proxy.errors import CircuitOpenError, InvalidRequestError, InvalidUpstreamResponseError
from gateway.proxy.headers import HeaderRules

UPSTREAM = b"127.0.0.1:8101"


class Time:
    now = 0.0

    def __call__(self):
        return self.now


def refused_for(breaker):
    with pytest.raises(CircuitOpenError) as refused:
        breaker.admit()
    return refused.value.retry_after_s


def test_breaker_opens_after_failures_in_a_row_only():
    breaker = Breaker(Time(), threshold=3)
    for _ in range(2):
        breaker.fail(was_refused=False)
    breaker.succeed()
    for _ in range(2):
        breaker.fail(was_refused=False)
    breaker.admit()
    breaker.fail(was_refused=False)
    assert refused_for(breaker) == 1


def test_breaker_lets_one_probe_through_at_a_time():
    time = Time()
    breaker = Breaker(time, threshold=1)
    breaker.fail(was_refused=False)
    time.now += 1
    breaker.admit()
    refused_for(breaker)
    breaker.succeed()
    breaker.admit()
    breaker.admit()


def test_breaker_forgets_a_probe_that_never_reports_back():
    time = Time()
    breaker = Breaker(time, threshold=1)
    breaker.fail(was_refused=False)
    for _ in range(3):
        time.now += 1
        breaker.admit()


def pauses_between(probes, time, breaker, *, was_refused):
    breaker.fail(was_refused=was_refused)
    pauses = []
    for _ in range(probes):
        started = time.now
        while True:
            try:
                breaker.admit()
            except CircuitOpenError:
                time.now += 0.125
            else:
                break
        pauses.append(time.now - started)
        breaker.fail(was_refused=was_refused)
    return pauses


def test_breaker_probes_again_within_five_seconds_however_long_the_outage():
    time = Time()
    assert pauses_between(6, time, Breaker(time, threshold=1), was_refused=False) == [1, 2, 4, 5, 5, 5]


def test_a_probe_after_a_brief_pause_has_a_whole_one_for_its_answer():
    time = Time()
    breaker = Breaker(time, threshold=1, brief=0.25, pause=1)
    breaker.fail(was_refused=True)
    time.now += 0.25
    breaker.admit()
    assert refused_for(breaker) == 1


def test_breaker_probes_at_short_intervals_while_connections_are_refused():
    time = Time()
    breaker = Breaker(time, threshold=1)
    assert pauses_between(6, time, breaker, was_refused=True) == [0.25] * 6
    time.now += 1
    breaker.admit()
    assert pauses_between(2, time, breaker, was_refused=False) == [1, 2]


def test_breaker_pauses_no_longer_for_failures_of_requests_from_before_it_opened():
    time = Time()
    breaker = Breaker(time, threshold=1)
    for _ in range(20):
        breaker.fail(was_refused=False)
    time.now += 1
    breaker.admit()


def test_retry_budget_keeps_retries_to_a_fifth():
    budget = RetryBudget()
    retries = 0
    for _ in range(1000):
        budget.earn()
        retries += budget.spend()
    assert retries <= 203


def scope(*headers):
    return {"method": "POST", "raw_path": b"/x", "query_string": b"", "headers": list(headers)}


@pytest.mark.parametrize(
    "framing",
    [
        [(b"content-length", b"5"), (b"transfer-encoding", b"chunked")],
        [(b"transfer-encoding", b"chunked"), (b"content-length", b"5")],
        [(b"content-length", b"5"), (b"content-length", b"5")],
        [(b"content-length", b"5, 5")],
        [(b"content-length", b"+5")],
        [(b"content-length", b"-5")],
        [(b"content-length", b"0x5")],
        [(b"content-length", b"9" * 30)],
        [(b"content-length", b"")],
        [(b"transfer-encoding", b"gzip, chunked")],
        [(b"transfer-encoding", b"chunked"), (b"transfer-encoding", b"chunked")],
        [(b"transfer-encoding", b"\x0bchunked")],
    ],
)
def test_request_refuses_ambiguous_framing(framing):
    with pytest.raises(InvalidRequestError):
        HeaderRules().request(scope(*framing), UPSTREAM, [])


def test_request_frames_once_and_itself():
    head = HeaderRules().request(
        scope((b"Content_Length", b"7"), (b"content-length", b"5"), (b"transfer_encoding", b"chunked")), UPSTREAM, []
    )
    assert head.length == 5
    assert head.content == b"POST /x HTTP/1.1\r\nhost: 127.0.0.1:8101\r\ncontent-length: 5\r\n\r\n"


def test_request_adds_its_own_headers_after_connection_has_dropped_the_callers():
    head = HeaderRules().request(
        scope((b"x-plan", b"gold"), (b"connection", b"x-plan")), UPSTREAM, [(b"x-plan", b"free")]
    )
    assert head.content.count(b"x-plan") == 1
    assert b"x-plan: free\r\n" in head.content


def test_rules_remember_a_bounded_number_of_names():
    rules = HeaderRules()
    for number in range(5000):
        rules.request(scope((b"x-%d" % number, b"1")), UPSTREAM, [])
    assert len(rules._requests) <= 1024


def test_response_drops_hop_by_hop_and_what_connection_names():
    received = [
        (b"connection", b"keep-alive, x-hop"),
        (b"x-hop", b"1"),
        (b"keep-alive", b"timeout=5"),
        (b"transfer-encoding", b"chunked"),
        (b"x-shoal-identity", b"leaked"),
        (b"x-stays", b"1"),
    ]
    headers, is_events = HeaderRules().response(200, received, [])
    assert headers == [(b"x-stays", b"1")]
    assert not is_events


def test_response_keeps_its_length_whatever_connection_names():
    received = [(b"connection", b"content-length"), (b"content-length", b"5")]
    assert HeaderRules().response(200, received, [])[0] == [(b"content-length", b"5")]


def test_response_refuses_an_encoding_it_cannot_undo():
    with pytest.raises(InvalidUpstreamResponseError):
        HeaderRules().response(200, [(b"transfer-encoding", b"gzip, chunked")], [])


def test_response_knows_a_stream_of_events():
    assert HeaderRules().response(200, [(b"content-type", b"text/event-stream; charset=utf-8")], [])[1]
