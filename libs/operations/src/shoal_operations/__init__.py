"""What operators do to an installation: credentials, the readers' copy, backups, dead letters."""
