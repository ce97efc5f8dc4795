"""The gateway: the one door of Shoal.

It knows accounts, users, logins and keys; it finds out who asks, says so to the services behind it under its own
signature, and forwards. Its own rooms: `accounts` (accounts and users), `logins`, `keys`, `overview` (health and
documents). Everything that every request passes is in `front` and what it names.
"""
