"""Image archives as Buildx writes them, with nothing in their layers."""

import hashlib
import io
import json
import tarfile
from pathlib import Path
from typing import Any

INDEX = "application/vnd.oci.image.index.v1+json"
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
Entry = dict[str, Any]


class OciArchive:
    """An OCI layout in the making, as Buildx writes it."""

    def __init__(self) -> None:
        self._files: dict[str, bytes] = {}

    def blob(self, content: Any) -> Entry:
        data = json.dumps(content).encode()
        digest = hashlib.sha256(data).hexdigest()
        self._files[f"blobs/sha256/{digest}"] = data
        return {"digest": f"sha256:{digest}", "size": len(data)}

    def platform(self, machine: str, layers: list[int], shown: str = "") -> Entry:
        config = self.blob({"os": "linux", "architecture": machine})
        manifest = self.blob({"config": config, "layers": [{"size": size} for size in layers]})
        system, name = (shown or f"linux/{machine}").split("/")
        return manifest | {
            "mediaType": MANIFEST,
            "platform": {"os": system, "architecture": name},
        }

    def index(self, entries: list[Entry]) -> Entry:
        return self.blob({"mediaType": INDEX, "manifests": entries}) | {"mediaType": INDEX}

    def write(self, path: Path, entries: list[Entry]) -> Path:
        self._files["index.json"] = json.dumps({"manifests": entries}).encode()
        with tarfile.open(path, "w") as tar:
            for name, data in self._files.items():
                info = tarfile.TarInfo(name)
                info.size = len(data)
                tar.addfile(info, io.BytesIO(data))
        return path
