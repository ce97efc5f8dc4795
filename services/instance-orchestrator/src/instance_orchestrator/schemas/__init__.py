"""What comes in and what goes out, in the contract's words."""
