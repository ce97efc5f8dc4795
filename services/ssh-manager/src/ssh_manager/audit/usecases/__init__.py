"""Decisions about the audit log and allowed addresses."""
