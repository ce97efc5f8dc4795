"""Numbered SQL that every service's schema begins with (0001 to 0099)."""
