"""What metrics-query does: counts samples, rolls them up, forgets them, and answers from them."""
