"""What tools do, and where more of them come from."""
