"""What a frame is, how a socket ends, how fast a sender may be: values and rules, nothing that waits."""
