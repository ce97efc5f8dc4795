"""Memory: what agents of an account were told to remember, and finding it again."""
