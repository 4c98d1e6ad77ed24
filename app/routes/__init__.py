"""HTTP in, HTTP out: each module translates requests into service calls and back."""
