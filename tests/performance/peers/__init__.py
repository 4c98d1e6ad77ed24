"""The peers: services with the same features, assembled in a usual way.

Each answers `/health`, `/api/v1/info` and `/api/v1/cache/<key>`, counts for `/metrics`, gives every
request an ID and security headers and writes a JSON access line (checked by `bench.py --check`);
`bare` is Flask without features.
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
