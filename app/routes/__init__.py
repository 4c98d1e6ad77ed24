"""HTTP in, HTTP out: each module translates requests into calls of services and back."""
