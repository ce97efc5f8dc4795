"""Telemetry ingest: the door that agents stream through, and the window that dashboards watch them by.

A frame that comes in is shown live at once and stored on a stream before it is acknowledged; what it means over time is
metrics-query's to say. Which agent is connected, and to which process, is known here and nowhere else.
"""
