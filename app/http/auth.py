"""Bearer tokens (RFC 6750) for everything that writes."""

import hmac

from app.http.problems import Problem


class TokenAuth:
    """Checks `Authorization` headers. Without any tokens, writing is open to all."""

    def __init__(self, tokens: tuple[str, ...]) -> None:
        self._tokens: list[bytes] = []
        self.use(tokens)

    def use(self, tokens: tuple[str, ...]) -> None:
        """Accept these tokens, and no others, from now on."""
        self._tokens = [token.encode() for token in tokens]

    @property
    def configured(self) -> bool:
        return bool(self._tokens)

    def require(self, header: str, even_if_open: bool = False) -> None:
        """Refuse callers without a valid token.

        Raises:
            Problem: 401; or 403, if `even_if_open`, to all callers while there are no tokens.
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
        given = offered.strip().encode()
        matches = [token for token in self._tokens if hmac.compare_digest(given, token)]
        return matches[0].decode() if matches and scheme.lower() == "bearer" else None
