"""Logins: the signed-in state of users, how it begins, slides and ends."""
