"""What every request passes: middleware, checks, authentication, errors, sessions, OpenAPI."""
