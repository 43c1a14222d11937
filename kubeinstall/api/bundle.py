"""Generates what is not committed: API type data, and gRPC stubs of our own `.proto` files.

`python -m kubeinstall.api.bundle` writes, from the pinned `kubernetes-validate` package,

* `kubeinstall/api/_bundle/types.json`: `{"kubernetes": "v1.36.0", "kinds": {"apps/v1/Deployment": type
  name}, "types": {type name: text}}`, where `text` is the JSON of the type's OpenAPI v2 definition
  without descriptions. Texts are parsed one by one when first asked for: a process that needs ten
  types pays for ten.
* `kubeinstall/api/_bundle/descriptions.json.z`: `{type name: {"": of the type, field: of the field}}`,
  deflated; only who serves OpenAPI reads it.
* `kubeinstall/_wire/…_pb2.py`, `…_pb2_grpc.py`: stubs of `proto/**/*.proto`. `proto/cri/v1/api.proto`
  becomes `kubeinstall._wire.cri.v1.api_pb2`; one of our files imports another as
  `kubeinstall/_wire/cri/v1/api.proto`.

The package that the data comes from adds null types and enumerates the kind of each root; both are
undone here, so that definitions are exactly upstream's.
"""

from __future__ import annotations

import importlib.util
import json
import sys
import zlib
from pathlib import Path
from typing import Any, Final

from kubeinstall.errors import KubeinstallError

KUBERNETES: Final = "v1.36.0"
TYPES: Final = "types.json"
DESCRIPTIONS: Final = "descriptions.json.z"

_PACKAGE: Final = Path(__file__).resolve().parents[1]
_PROJECT: Final = _PACKAGE.parent
FOLDER: Final = _PACKAGE / "api" / "_bundle"
_WIRE: Final = _PACKAGE / "_wire"

# The package writes these as alternatives of types; upstream's document says this.
_SPECIAL: Final[dict[str, dict[str, Any]]] = {
    "io.k8s.apimachinery.pkg.api.resource.Quantity": {"type": "string"},
    "io.k8s.apimachinery.pkg.util.intstr.IntOrString": {
        "format": "int-or-string",
        "type": "string",
    },
}


class BundleError(KubeinstallError):
    """The data could not be generated; the message says what is missing."""


def source() -> Path:
    """The `_definitions.json` of the pinned package. Raises BundleError when it is not installed."""
    spec = importlib.util.find_spec("kubernetes_validate")
    if spec is None or spec.origin is None:
        raise BundleError("the package kubernetes-validate is not installed: pip install it first")
    folder = Path(spec.origin).parent / "kubernetes-json-schema" / f"{KUBERNETES}-local"
    path = folder / "_definitions.json"
    if not path.is_file():
        raise BundleError(f"kubernetes-validate has no definitions of {KUBERNETES}: {path}")
    return path


def upstream_definitions(document: dict[str, Any]) -> dict[str, Any]:
    """OpenAPI v2 definitions, descriptions included, as upstream publishes them."""
    definitions = document["$defs"]
    return {name: _restore(name, definitions[name]) for name in sorted(definitions)}


def _restore(name: str, definition: dict[str, Any]) -> dict[str, Any]:
    if name in _SPECIAL:
        return {key: value for key, value in definition.items() if key == "description"} | _SPECIAL[
            name
        ]
    return _restore_schema(definition)


def _restore_schema(schema: dict[str, Any]) -> dict[str, Any]:
    restored: dict[str, Any] = {}
    for key, value in schema.items():
        if key == "properties":
            restored[key] = {name: _restore_schema(each) for name, each in value.items()}
        elif key in {"items", "additionalProperties"} and isinstance(value, dict):
            restored[key] = _restore_schema(value)
        elif key == "type" and isinstance(value, list):
            restored[key] = next(each for each in value if each != "null")
        elif key == "$ref":
            restored[key] = value.replace("#/$defs/", "#/definitions/")
        elif key != "enum":
            restored[key] = value
    return restored


def _split(definition: dict[str, Any]) -> tuple[dict[str, Any], dict[str, str]]:
    """The definition without descriptions, and its descriptions by field ("" is the type itself)."""
    texts: dict[str, str] = {}
    bare = {key: value for key, value in definition.items() if key != "description"}
    if "description" in definition:
        texts[""] = definition["description"]
    properties = definition.get("properties")
    if properties is not None:
        bare["properties"] = {}
        for name, schema in properties.items():
            if "description" in schema:
                texts[name] = schema["description"]
            bare["properties"][name] = {
                key: value for key, value in schema.items() if key != "description"
            }
    return bare, texts


def _compact(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def write_types(folder: Path) -> None:
    """Write the type data into `folder`."""
    definitions = upstream_definitions(json.loads(source().read_text(encoding="utf-8")))
    types: dict[str, str] = {}
    descriptions: dict[str, dict[str, str]] = {}
    kinds: dict[str, str] = {}
    for name, definition in definitions.items():
        bare, texts = _split(definition)
        types[name] = _compact(bare)
        if texts:
            descriptions[name] = texts
        known = definition.get("x-kubernetes-group-version-kind", [])
        # DeleteOptions and WatchEvent are registered in every group: no kind of their own.
        if len(known) == 1:
            (one,) = known
            kinds["/".join(filter(None, (one["group"], one["version"], one["kind"])))] = name
    folder.mkdir(parents=True, exist_ok=True)
    _replace(
        folder / TYPES,
        _compact({"kubernetes": KUBERNETES, "kinds": kinds, "types": types}).encode(),
    )
    _replace(folder / DESCRIPTIONS, zlib.compress(_compact(descriptions).encode(), 9))


def _replace(path: Path, data: bytes) -> None:
    # Another process may be reading: never show it half a file, and leave an equal one alone.
    if path.is_file() and path.read_bytes() == data:
        return
    draft = path.with_name(f".{path.name}.new")
    draft.write_bytes(data)
    draft.replace(path)


def write_stubs(protos: Path, package: Path) -> list[str]:
    """Compile every `.proto` below `protos` into `package/_wire`; returns their names."""
    files = sorted(protos.rglob("*.proto"))
    wire = package / "_wire"
    wire.mkdir(parents=True, exist_ok=True)
    _init(wire)
    if not files:
        return []
    if importlib.util.find_spec("grpc_tools") is None:
        raise BundleError("the package grpcio-tools is not installed: pip install it first")
    from grpc_tools import protoc

    for file in files:
        folder = wire / file.relative_to(protos).parent
        folder.mkdir(parents=True, exist_ok=True)
        while folder != wire:
            _init(folder)
            folder = folder.parent
    names = [f"kubeinstall/_wire/{file.relative_to(protos)}" for file in files]
    arguments = [
        "protoc",
        # The files are compiled under their package's name, so that stubs import each other by it.
        f"-Ikubeinstall/_wire={protos}",
        f"-I{Path(protoc.__file__).parent / '_proto'}",
        f"--python_out={package.parent}",
        f"--pyi_out={package.parent}",
        f"--grpc_python_out={package.parent}",
        *names,
    ]
    if protoc.main(arguments) != 0:
        raise BundleError(f"protoc could not compile the files below {protos}")
    return names


def _init(folder: Path) -> None:
    _replace(folder / "__init__.py", b'"""Generated gRPC stubs."""\n')


def generate(project: Path = _PROJECT) -> None:
    """Write both into a source tree."""
    write_types(project / "kubeinstall" / "api" / "_bundle")
    write_stubs(project / "proto", project / "kubeinstall")


def main() -> int:
    """Generate; 0 when done."""
    try:
        generate()
    except BundleError as error:
        sys.stderr.write(f"kubeinstall.api.bundle: {error}\n")
        return 1
    sys.stdout.write(f"wrote {FOLDER} and {_WIRE}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
