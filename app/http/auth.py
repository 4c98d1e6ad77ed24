"""Bearer tokens (RFC 6750) for everything that writes."""

import hmac

from app.http.problems import Problem


class TokenAuth:
    """Checks `Authorization` headers.

    Args:
        tokens: the setting API_TOKENS. Without any, writing is open to all.
    """

    def __init__(self, tokens: tuple[str, ...]) -> None:
        self._tokens = [token.encode() for token in tokens]

    @property
    def configured(self) -> bool:
        """Whether there are any tokens."""
        return bool(self._tokens)

    def require(self, header: str, *, even_if_open: bool = False) -> None:
        """Refuse callers without a valid token.

        Args:
            header: the request's `Authorization` header.
            even_if_open: refuse all callers while no tokens are configured.

        Raises:
            Problem: 401 without a valid token; 403 when `even_if_open` refuses.
        """
        if not self._tokens:
            if even_if_open:
                raise Problem(403, "This needs a token, and the service has none: set API_TOKENS.")
            return
        if self.recognise(header) is None:
            raise Problem(
                401,
                "Send one of the service's API tokens as Authorization: Bearer <token>.",
                headers={"WWW-Authenticate": 'Bearer realm="api"'},
            )

    def recognise(self, header: str) -> str | None:
        """The configured token that an `Authorization` header contains, or None."""
        scheme, _, offered = header.partition(" ")
        # Every token is compared, in constant time: the duration tells nothing about a token.
        matches = [
            token for token in self._tokens if hmac.compare_digest(offered.strip().encode(), token)
        ]
        return matches[0].decode() if matches and scheme.lower() == "bearer" else None
