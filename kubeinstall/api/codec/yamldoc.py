"""YAML bodies: read by the rules of the YAML 1.1 library that upstream uses, turned into JSON values.

`y`, `yes`, `on` are true, `0777` is octal, `~` is null, timestamps stay text. Members come out sorted by
key, since upstream converts through a Go map. Duplicate keys are reported, the last one wins.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator
from typing import Any, Final

import yaml

from kubeinstall.api.codec.gojson import Number, Pairs
from kubeinstall.errors import KubeinstallError

_TRUE: Final = frozenset(("y", "Y", "yes", "Yes", "YES", "true", "True", "TRUE", "on", "On", "ON"))
_FALSE: Final = frozenset(
    ("n", "N", "no", "No", "NO", "false", "False", "FALSE", "off", "Off", "OFF")
)
_NULL: Final = frozenset(("", "~", "null", "Null", "NULL"))
_INTEGER: Final = re.compile(r"[-+]?(0b[01_]+|0o?[0-7_]+|0x[0-9a-fA-F_]+|[1-9][0-9_]*|0)")
_FLOAT: Final = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_SPECIAL: Final = re.compile(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")
_STRING_TAG: Final = "tag:yaml.org,2002:str"
_BINARY_TAG: Final = "tag:yaml.org,2002:binary"
_RESOLVER: Final[Any] = yaml.resolver.Resolver()
#: Aliases may repeat a node; a small document must not unfold into a huge one.
_MAX_NODES: Final = 1_000_000


class YAMLError(KubeinstallError):
    """The text is not YAML, or cannot be JSON; the message begins as upstream's, `yaml: …`."""


_Loader: Final[Any] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


def parse(data: bytes) -> tuple[Any, list[str]]:
    """The first document as JSON values (`Pairs`, `Number` as `gojson.parse` gives), and the lines
    that upstream would name for duplicate keys. Raises YAMLError."""
    loader = _Loader(data)
    try:
        node = loader.get_node() if loader.check_node() else None
    except yaml.MarkedYAMLError as error:
        raise YAMLError(_problem(error)) from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise YAMLError(f"yaml: {error}") from error
    finally:
        loader.dispose()
    if node is None:
        return None, []
    builder = _Builder()
    return builder.build(node), builder.duplicates


def _problem(error: yaml.MarkedYAMLError) -> str:
    mark = error.problem_mark or error.context_mark
    line = "" if mark is None else f"line {mark.line + 1}: "
    return f"yaml: {line}{error.problem or error.context}"


class _Builder:
    """Turns a node tree into values."""

    def __init__(self) -> None:
        self.duplicates: list[str] = []
        self._nodes = 0

    def build(self, node: yaml.Node) -> Any:
        self._nodes += 1
        if self._nodes > _MAX_NODES:
            raise YAMLError("yaml: document contains excessive aliasing")
        if isinstance(node, yaml.ScalarNode):
            return _scalar(node)
        if isinstance(node, yaml.SequenceNode):
            return [self.build(each) for each in node.value]
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node)
        raise YAMLError("yaml: unknown node")

    def _mapping(self, node: yaml.MappingNode) -> Pairs:
        members: dict[str, Any] = {}
        own: set[str] = set()
        for key, value in self._members(node):
            name = _key(key)
            if name in own:
                line = key.start_mark.line + 1
                self.duplicates.append(f'line {line}: key "{name}" already set in map')
            own.add(name)
            members[name] = self.build(value)
        for merged in self._merges(node):
            for name, value in merged:
                members.setdefault(name, value)
        return Pairs(sorted(members.items()))

    @staticmethod
    def _members(node: yaml.MappingNode) -> Iterator[tuple[yaml.Node, yaml.Node]]:
        for key, value in node.value:
            if not _is_merge(key):
                yield key, value

    def _merges(self, node: yaml.MappingNode) -> Iterator[Pairs]:
        for key, value in node.value:
            if not _is_merge(key):
                continue
            for each in value.value if isinstance(value, yaml.SequenceNode) else [value]:
                if not isinstance(each, yaml.MappingNode):
                    raise YAMLError("yaml: map merge requires map or sequence of maps as the value")
                yield self._mapping(each)


def _is_merge(node: yaml.Node) -> bool:
    return isinstance(node, yaml.ScalarNode) and node.value == "<<" and not node.style


def _key(node: yaml.Node) -> str:
    if not isinstance(node, yaml.ScalarNode):
        raise YAMLError("yaml: invalid map key")
    value = _scalar(node)
    if isinstance(value, bool):
        return "true" if value else "false"
    if value is None:
        return "null"
    return str(value)


def _scalar(node: yaml.ScalarNode) -> Any:
    text: str = node.value
    if node.tag == _BINARY_TAG:
        return base64.b64decode(text).decode("utf-8", "replace")
    if node.style or _marked_string(node):
        return text
    if text in _NULL:
        return None
    if text in _TRUE:
        return True
    if text in _FALSE:
        return False
    return _number(text)


def _marked_string(node: yaml.ScalarNode) -> bool:
    """Whether a plain text carries a written `!!str`: resolved alone it would be something else."""
    if node.tag != _STRING_TAG:
        return False
    resolved: str = _RESOLVER.resolve(yaml.ScalarNode, node.value, (True, False))
    return resolved != _STRING_TAG


def _number(text: str) -> Any:
    if _INTEGER.fullmatch(text):
        digits = text.replace("_", "")
        sign = -1 if digits[0] == "-" else 1
        bare = digits.lstrip("+-")
        if bare[:2] in {"0x", "0b", "0o"}:
            return Number(sign * int(bare, 0))
        if len(bare) > 1 and bare[0] == "0":
            return Number(sign * int(bare, 8))
        return Number(sign * int(bare))
    if _SPECIAL.fullmatch(text):
        raise YAMLError(f"json: unsupported value: {text}")
    if _FLOAT.fullmatch(text):
        value = float(text)
        # Upstream goes through float64: 1.0 becomes 1.
        return (
            Number(int(value)) if value.is_integer() and abs(value) < 1e21 else Number(repr(value))
        )
    return text
