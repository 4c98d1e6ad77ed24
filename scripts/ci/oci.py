#!/usr/bin/env python3
"""Reads an image archive (OCI layout in a tar file): its digest, platforms and sizes.

The digest is the image's name from build to deployment: what was scanned and tested is what runs.
"""

import argparse
import json
import tarfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import runner
from runner import Problem

INDEX_TYPES = (
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.docker.distribution.manifest.list.v2+json",
)


@dataclass(frozen=True)
class Platform:
    """The image for one kind of machine."""

    name: str
    digest: str
    config_digest: str
    layers: int
    # What a registry stores and a host downloads, in bytes.
    size: int


@dataclass(frozen=True)
class Image:
    digest: str
    platforms: list[Platform]


def read(path: Path) -> Image:
    """Raises Problem if the archive is missing, damaged or holds more than one image."""
    try:
        with tarfile.open(path) as archive:
            return _read(archive)
    except (OSError, tarfile.TarError, KeyError, ValueError) as error:
        raise Problem(f"{path} is no image archive of one image: {_first_line(error)}") from error


def _first_line(error: Exception) -> str:
    return str(error).partition("\n")[0].rstrip(":")


def _read(archive: tarfile.TarFile) -> Image:
    entries = _json(archive, "index.json")["manifests"]
    if len(entries) != 1:
        raise ValueError(f"it holds {len(entries)} images")
    top = entries[0]
    content = _blob(archive, top["digest"])
    manifests = content["manifests"] if top["mediaType"] in INDEX_TYPES else [top]
    # Attestations that BuildKit may add are entries too, for a platform "unknown".
    real = [entry for entry in manifests if _platform_name(entry) != "unknown/unknown"]
    return Image(top["digest"], [_platform(archive, entry) for entry in real])


def _platform(archive: tarfile.TarFile, entry: dict[str, Any]) -> Platform:
    manifest = _blob(archive, entry["digest"])
    config = _blob(archive, manifest["config"]["digest"])
    return Platform(
        name=f"{config['os']}/{config['architecture']}",
        digest=entry["digest"],
        config_digest=manifest["config"]["digest"],
        layers=len(manifest["layers"]),
        size=manifest["config"]["size"] + sum(layer["size"] for layer in manifest["layers"]),
    )


def _platform_name(entry: dict[str, Any]) -> str:
    platform = entry.get("platform", {})
    return f"{platform.get('os')}/{platform.get('architecture')}"


def _blob(archive: tarfile.TarFile, digest: str) -> Any:
    return _json(archive, f"blobs/{digest.replace(':', '/')}")


def _json(archive: tarfile.TarFile, name: str) -> Any:
    file = archive.extractfile(name)
    if file is None:
        raise ValueError(f"{name} is no file")
    return json.load(file)


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__,
        epilog=runner.EXIT_STATUS,
        formatter_class=argparse.RawTextHelpFormatter,
    )
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--dry-run", action="store_true", help="check the arguments and stop")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, text in (
        ("digest", "print the digest"),
        ("outputs", "hand digest, digest-amd64 and so on to later steps"),
        ("platforms", "print the platforms, one a line"),
        ("verify", "fail unless the archive has the given digest"),
    ):
        command = commands.add_parser(name, parents=[common], help=text)
        command.add_argument("archive", type=Path)
    command.add_argument("wanted", metavar="DIGEST")
    arguments = parser.parse_args()
    if arguments.dry_run:
        return 0

    image = read(arguments.archive)
    match arguments.command:
        case "digest":
            print(image.digest)
        case "outputs":
            machines = {f"digest_{p.name.split('/')[1]}": p.digest for p in image.platforms}
            runner.output(digest=image.digest, **machines)
        case "platforms":
            print(*(platform.name for platform in image.platforms), sep="\n")
        case "verify" if image.digest != arguments.wanted:
            raise Problem(
                f"{arguments.archive} is {image.digest}, not {arguments.wanted}: it was changed or"
                " rebuilt since, and is not used"
            )
    return 0


if __name__ == "__main__":
    runner.run(main)
