"""An image archive that OCI tools and docker tools both read.

The tar is an OCI image layout (`oci-layout`, `index.json`, `blobs/`) with docker's `manifest.json`
naming the same blobs, as current `docker save` writes it. One layer, not compressed: it goes from this
host to this host.
"""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

CREATED = "1970-01-01T00:00:00Z"
LOCAL_LABEL = "io.kubeinstall.local"
"""Label of images that have no registry behind them; the kubelet asks none for them."""


@dataclass(frozen=True, slots=True)
class ImageConfig:
    """What runs in a container of the image, in the terms of an OCI image configuration."""

    entrypoint: list[str] = field(default_factory=list)
    cmd: list[str] = field(default_factory=list)
    env: dict[str, str] = field(default_factory=dict)
    user: str = ""
    working_dir: str = ""
    stop_signal: str = ""
    exposed_ports: list[str] = field(default_factory=list)
    labels: dict[str, str] = field(default_factory=dict)


def config_document(config: ImageConfig, architecture: str, layer: str) -> dict[str, Any]:
    """The OCI image configuration for one layer (its hex SHA-256)."""
    process: dict[str, Any] = {"Labels": {LOCAL_LABEL: "true", **config.labels}}
    environment = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}
    environment.update(config.env)
    process["Env"] = [f"{name}={value}" for name, value in environment.items()]
    optional: dict[str, Any] = {
        "Entrypoint": config.entrypoint,
        "Cmd": config.cmd,
        "User": config.user,
        "WorkingDir": config.working_dir,
        "StopSignal": config.stop_signal,
        "ExposedPorts": {port: {} for port in config.exposed_ports},
    }
    process.update({name: value for name, value in optional.items() if value})
    return {
        "created": CREATED,
        "architecture": architecture,
        "os": "linux",
        "config": process,
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{layer}"]},
        "history": [{"created": CREATED, "created_by": "kubeinstall image build"}],
    }


def write_archive(
    name: str, config: dict[str, Any], layer_file: Path, layer: str, target: Path
) -> str:
    """Write the archive of image `name` to `target`; the digest of its manifest."""
    config_bytes = _json(config)
    config_digest = hashlib.sha256(config_bytes).hexdigest()
    manifest = _json(
        {
            "schemaVersion": 2,
            "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "config": {
                "mediaType": "application/vnd.oci.image.config.v1+json",
                "digest": f"sha256:{config_digest}",
                "size": len(config_bytes),
            },
            "layers": [
                {
                    "mediaType": "application/vnd.oci.image.layer.v1.tar",
                    "digest": f"sha256:{layer}",
                    "size": layer_file.stat().st_size,
                }
            ],
        }
    )
    manifest_digest = hashlib.sha256(manifest).hexdigest()
    index = _json(
        {
            "schemaVersion": 2,
            "mediaType": "application/vnd.oci.image.index.v1+json",
            "manifests": [
                {
                    "mediaType": "application/vnd.oci.image.manifest.v1+json",
                    "digest": f"sha256:{manifest_digest}",
                    "size": len(manifest),
                    "annotations": {
                        "io.containerd.image.name": name,
                        "org.opencontainers.image.ref.name": name.rpartition(":")[2],
                    },
                    "platform": {"architecture": config["architecture"], "os": "linux"},
                }
            ],
        }
    )
    docker = _json(
        [
            {
                "Config": f"blobs/sha256/{config_digest}",
                "RepoTags": [name],
                "Layers": [f"blobs/sha256/{layer}"],
            }
        ]
    )
    with tarfile.open(target, "w", format=tarfile.GNU_FORMAT) as archive:
        _add(archive, f"blobs/sha256/{config_digest}", config_bytes)
        _add(archive, f"blobs/sha256/{manifest_digest}", manifest)
        info = tarfile.TarInfo(f"blobs/sha256/{layer}")
        info.size = layer_file.stat().st_size
        with layer_file.open("rb") as content:
            archive.addfile(info, content)
        _add(archive, "index.json", index)
        _add(archive, "manifest.json", docker)
        _add(archive, "oci-layout", _json({"imageLayoutVersion": "1.0.0"}))
    return f"sha256:{manifest_digest}"


def _json(value: Any) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()


def _add(archive: tarfile.TarFile, name: str, data: bytes) -> None:
    info = tarfile.TarInfo(name)
    info.size = len(data)
    archive.addfile(info, io.BytesIO(data))
