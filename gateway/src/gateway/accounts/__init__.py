"""Accounts, which own everything, and the users who act in them."""
