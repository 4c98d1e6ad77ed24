"""The way to Redis: client, time budget and circuit breaker."""
