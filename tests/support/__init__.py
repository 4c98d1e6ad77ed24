"""Real processes for the tests: a redis-server and a Gunicorn of their own."""
