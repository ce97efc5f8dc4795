"""Voice: settings and speech."""
