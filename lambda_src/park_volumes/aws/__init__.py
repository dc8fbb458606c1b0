"""EC2: turns describe calls into facts, steps into calls, error codes into our exceptions. Only this talks to EC2."""
