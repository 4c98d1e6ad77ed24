"""Which image a name means, and a name for it that will mean the same image for ever."""

import json
import re
from contextlib import suppress
from dataclasses import asdict, dataclass
from typing import Any

from . import Problem
from .engine import Engine

UNKNOWN = "version unknown"
PULL_SECONDS = 600
# name[:tag][@digest], the name perhaps with a registry and its port
REFERENCE = re.compile(
    r"(?P<name>[a-z0-9][a-zA-Z0-9.:/_-]*?)(:(?P<tag>[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}))?"
    r"(@(?P<digest>sha256:[0-9a-f]{64}))?"
)


@dataclass(frozen=True)
class Image:
    """An image of the service."""

    reference: str
    """Never means another image: name@digest, or name:tag-… with the start of its ID."""
    id: str
    version: str
    commit: str

    def __str__(self) -> str:
        return f"{self.version} (commit {self.commit[:7]}), {self.reference}"

    def as_json(self) -> dict[str, str]:
        return asdict(self)


def check(reference: str) -> None:
    """Refuse a name that is malformed or does not say which version it means."""
    match = REFERENCE.fullmatch(reference)
    if not match:
        raise Problem(f"{reference!r} is no image: give REF:TAG or REF@sha256:<64 hex digits>")
    if match["digest"] is None and match["tag"] in (None, "latest"):
        raise Problem(f"{reference} says no version: give a tag that does (REF:TAG) or a digest")


def find(engine: Engine, reference: str) -> Image:
    """The image of this name; it is pulled if need be and pinned under a name of its own."""
    check(reference)
    if _registry(reference) and "@" not in reference:
        _pull(engine, reference)  # a tag may have moved since it was pulled last
    return pinned(engine, reference)


def pinned(engine: Engine, reference: str, image_id: str | None = None) -> Image:
    """The image of this name, or the one of this ID that once had the name, under a firm name."""
    found = _inspect(engine, image_id or reference)
    if found is None and image_id is None:
        _pull(engine, reference)
        found = _inspect(engine, reference)
    if found is None:
        raise Problem(f"the image {reference} is not here and cannot be pulled")
    firm = firm_name(reference, found["Id"], found.get("RepoDigests") or [])
    if "@" not in firm and firm != reference:
        engine.docker("tag", found["Id"], firm)
    return _image(found, firm)


def firm_name(reference: str, image_id: str, digests: list[str]) -> str:
    """The name under which a deploy runs an image.

    Args:
        reference: how it was asked for.
        image_id: `sha256:` and 64 hex digits.
        digests: what the engine knows it by at registries, `name@sha256:…`.
    """
    match = REFERENCE.fullmatch(reference)
    if not match:
        return image_id
    if match["digest"]:
        return reference
    for digest in digests:
        if _registry(reference) and digest.startswith(f"{match['name']}@"):
            return digest
    suffix = image_id.removeprefix("sha256:")[:12]
    tag = match["tag"] or "untagged"
    if tag.endswith(f"-{suffix}"):
        return reference
    # A tag that names the image before it is not carried along.
    tag = re.sub(r"-[0-9a-f]{12}$", "", tag)[:100]
    return f"{match['name']}:{tag}-{suffix}"


def described(
    engine: Engine, reference: str, image_id: str | None = None, *, built: bool = False
) -> Image:
    """What `find` or `pinned` would return, as far as that is known without doing anything.

    Args:
        built: the image is about to be built under this name.
    """
    check(reference)
    found = None if built else _inspect(engine, image_id or reference)
    if found is None:
        verb = "to be built" if built else "to be pulled"
        return Image(f"{reference} ({verb})", "", UNKNOWN, "unknown")
    return _image(found, firm_name(reference, found["Id"], found.get("RepoDigests") or []))


def forget(engine: Engine, references: list[str]) -> None:
    """Drop names that deploys have given; the engine keeps what still runs."""
    for reference in references:
        if re.search(r"-[0-9a-f]{12}$", reference) and _inspect(engine, reference):
            with suppress(Problem):
                engine.docker("image", "rm", reference)


def _registry(reference: str) -> bool:
    """Whether the name says at which registry the image is."""
    first, slash, _rest = reference.partition("/")
    return bool(slash) and ("." in first or ":" in first or first == "localhost")


def _image(found: dict[str, Any], reference: str) -> Image:
    settings = dict(line.split("=", 1) for line in found["Config"]["Env"])
    return Image(
        reference=reference,
        id=found["Id"],
        version=settings.get("APP_VERSION") or UNKNOWN,
        commit=settings.get("GIT_COMMIT") or "unknown",
    )


def _inspect(engine: Engine, name: str) -> dict[str, Any] | None:
    try:
        found: list[dict[str, Any]] = json.loads(engine.docker("image", "inspect", name))
    except Problem:
        return None
    return found[0]


def _pull(engine: Engine, reference: str) -> None:
    try:
        engine.docker("pull", "--quiet", reference, seconds=PULL_SECONDS)
    except Problem as problem:
        raise Problem(f"{reference} is not here and cannot be pulled ({problem})") from problem
