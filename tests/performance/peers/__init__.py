"""What the service is measured against: the same features, put together as is usual elsewhere.

Each answers `/health`, `/api/v1/info` and `/api/v1/cache/<key>`, counts for `/metrics`, gives every
request an ID and security headers and writes a JSON access line (`bench.py --check` sees to it);
`bare` has none of these on purpose. What they say about themselves comes from the environment.
"""

INFO = {
    "name": "peer",
    "version": "0.1.0",
    "commit": "unknown",
    "build_date": "unknown",
    "environment": "production",
    "instance": "peer-1",
    "python": "3",
    "uptime_seconds": 1.0,
}

SECURITY_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
}
