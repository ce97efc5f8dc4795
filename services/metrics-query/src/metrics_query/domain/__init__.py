"""The decisions of metrics-query: frozen values and pure functions, no clock, no I/O.

Time inside the domain is counted in whole minutes (or hours, or days) since 1970-01-01T00:00Z. Money is
counted in millionths, gauges in thousandths, response times in microseconds: sums of integers do not depend
on their order.

Trees of frozen values have no cycles, hence `gc=False` where there are many of them.
"""
