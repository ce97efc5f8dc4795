"""Metrics query: what the fleet did, minute by minute.

Merges the samples of the telemetry stream into minute rows, each sample once; recovers increments from
rolling gauges; rolls minutes up to hours and days; and answers every period and resolution of the telemetry
contract from them.
"""
