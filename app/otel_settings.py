"""The settings that have OpenTelemetry's own names; part of `Settings` (config.py).

Names and meanings: opentelemetry.io, "Environment Variable Specification". docs/OBSERVABILITY.md
lists those that are honoured.
"""

import re
from collections.abc import Iterable
from typing import Annotated, Any, Literal
from urllib.parse import unquote, urlsplit

from pydantic import AfterValidator, BeforeValidator, Field
from pydantic_settings import BaseSettings, NoDecode


def _collector(value: str) -> str:
    if not value:
        return value
    try:
        parts = urlsplit(value)
        usable = bool(parts.hostname) and parts.port != 0 and re.fullmatch("https?:[!-~]+", value)
    except ValueError:
        usable = None
    if not usable:
        raise ValueError("must be the http:// or https:// address of a collector")
    if "@" in parts.netloc:
        raise ValueError("must not contain a password; OTEL_EXPORTER_OTLP_HEADERS is for that")
    return value


def _pairs(value: Any) -> Any:
    """`name=value,name=value`; special characters of a value are written as %2C and so on."""
    if not isinstance(value, str):
        return value
    pairs = [each.strip().partition("=") for each in value.split(",") if each.strip()]
    decoded = {name.strip(): unquote(of.strip()) for name, _, of in pairs}
    if not all(equals for _, equals, _ in pairs) or not all(
        re.fullmatch(r"[\w.-]+", name) and of.isprintable() for name, of in decoded.items()
    ):
        raise ValueError("must be name=value, separated by commas")
    return decoded


def _ascii(headers: dict[str, str]) -> dict[str, str]:
    if not all((name + value).isascii() for name, value in headers.items()):
        raise ValueError("must be ASCII")
    return headers


Collector = Annotated[str, AfterValidator(_collector)]
Pairs = Annotated[dict[str, str], NoDecode, BeforeValidator(_pairs)]


class OtelSettings(BaseSettings):
    """Traces: where they go, and of which requests."""

    otel_exporter_otlp_endpoint: Collector = Field("", examples=["http://collector:4318"])
    """Address of a collector that takes OTLP over HTTP; empty: no traces."""
    otel_exporter_otlp_traces_endpoint: Collector = Field(
        "", examples=["http://collector:4318/v1/traces"]
    )
    """The same for traces alone, and with the path."""
    otel_exporter_otlp_headers: Annotated[Pairs, AfterValidator(_ascii)] = Field(
        default_factory=dict, examples=["Authorization=Bearer%20$TOKEN"], repr=False
    )
    """Headers of each request to the collector."""
    otel_exporter_otlp_timeout: int = Field(10_000, ge=100, le=60_000)
    """Milliseconds in which a batch must be sent, repetitions included."""
    otel_exporter_otlp_protocol: Literal["http/protobuf"] = "http/protobuf"
    """How traces are sent."""
    otel_service_name: str = Field("", max_length=255, examples=["devops-starter"])
    """The service's name in traces; empty: SERVICE_NAME."""
    otel_resource_attributes: Pairs = Field(
        default_factory=dict, examples=["deployment.environment.name=staging,team=shop"]
    )
    """More attributes of the service in traces."""
    otel_traces_sampler: Literal[
        "always_on",
        "always_off",
        "traceidratio",
        "parentbased_always_on",
        "parentbased_always_off",
        "parentbased_traceidratio",
    ] = "parentbased_traceidratio"
    """Which requests are traced. parentbased: as the caller's traceparent says, if it sends one."""
    otel_traces_sampler_arg: float = Field(1.0, ge=0, le=1)
    """The share of requests that a ratio traces."""
    otel_sdk_disabled: bool = False
    """Whether tracing is off although there is an endpoint."""

    def without_effect(self, environ: Iterable[str]) -> list[str]:
        """The standard's variables that are set while traces are on, and change nothing."""
        known = set(map(str.upper, OtelSettings.model_fields))
        names = [name for name in environ if name.startswith("OTEL_")]
        return sorted(
            name for name in names if self.traces_url and name.removesuffix("_FILE") not in known
        )

    @property
    def traces_url(self) -> str:
        """Where traces go; empty if tracing is off."""
        base = self.otel_exporter_otlp_endpoint
        if self.otel_sdk_disabled:
            return ""
        return self.otel_exporter_otlp_traces_endpoint or (
            f"{base.rstrip('/')}/v1/traces" if base else ""
        )
