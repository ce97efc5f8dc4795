"""Cron: turns that the clock asks for."""
