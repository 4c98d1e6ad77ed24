"""Bearer tokens (RFC 6750) for everything that writes."""

import hmac

from app.utils.problems import Problem


class TokenAuth:
    """Checks `Authorization` headers against the tokens of the settings."""

    def __init__(self, tokens: tuple[str, ...]) -> None:
        self._tokens = [token.encode() for token in tokens]

    @property
    def configured(self) -> bool:
        """Whether there are any tokens; without them writing is open to all."""
        return bool(self._tokens)

    def require(self, header: str, *, even_if_open: bool = False) -> None:
        """Let the caller through, or not.

        Args:
            header: the request's `Authorization` header.
            even_if_open: refuse all while no tokens are configured.

        Raises:
            Problem: 401 without a right token; 403 when `even_if_open` refuses.
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
        """The token of the settings that an `Authorization` header brings, if it brings one."""
        scheme, _, offered = header.partition(" ")
        # Each comparison takes the same time whatever matches, and none is left out.
        matches = [
            own for own in self._tokens if hmac.compare_digest(offered.strip().encode(), own)
        ]
        return matches[0].decode() if matches and scheme.lower() == "bearer" else None
