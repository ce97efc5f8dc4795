"""What is asked and answered over HTTP, in the contract's words."""
