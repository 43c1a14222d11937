"""Reading multi-document YAML while remembering on which line each field stands."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from kubeinstall.config.errors import ConfigError, Problem

FieldPath = tuple[str | int, ...]
_MAX_BYTES = 3 * 1024 * 1024  # upstream's limit for a decoded document


@dataclass(frozen=True)
class Document:
    """One YAML document: its data, and the line of every field in it."""

    data: dict[str, Any]
    source: str
    line: int = 1
    lines: dict[FieldPath, int] = field(default_factory=dict)

    @property
    def api_version(self) -> str:
        """`apiVersion`, empty when there is none."""
        return str(self.data.get("apiVersion", ""))

    @property
    def kind(self) -> str:
        """`kind`, empty when there is none."""
        return str(self.data.get("kind", ""))

    def line_of(self, path: FieldPath) -> int:
        """The line of a field, or of the nearest parent that is written down."""
        while path:
            if path in self.lines:
                return self.lines[path]
            path = path[:-1]
        return self.line

    def problem(self, path: FieldPath, message: str) -> Problem:
        """A Problem at that field."""
        return Problem(self.source, self.line_of(path), dotted(path), message)


def dotted(path: FieldPath) -> str:
    """`("a", 0, "b")` → `a[0].b`."""
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
        else:
            text += f".{part}" if text else part
    return text


def read_documents(path: Path) -> list[Document]:
    """The documents in a file; ConfigError when it cannot be read or parsed."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not UTF-8 text"
        problem = Problem(str(path), 0, "", f"cannot be read: {reason}")
        raise ConfigError([problem]) from error
    return parse_documents(text, str(path))


def parse_documents(text: str, source: str) -> list[Document]:
    """Split and parse; empty documents are skipped, duplicate keys are errors."""
    if len(text.encode()) > _MAX_BYTES:
        raise ConfigError([Problem(source, 0, "", "is larger than 3 MiB")])
    try:
        nodes = list(yaml.compose_all(text, Loader=yaml.CSafeLoader))
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        reason = getattr(error, "problem", None) or str(error)
        line = mark.line + 1 if mark else 0
        raise ConfigError([Problem(source, line, "", f"not valid YAML: {reason}")]) from error
    documents = []
    for node in nodes:
        if node is None or (isinstance(node, yaml.ScalarNode) and node.value == ""):
            continue
        line = node.start_mark.line + 1
        if not isinstance(node, yaml.MappingNode):
            raise ConfigError([Problem(source, line, "", "a document must be a mapping")])
        documents.append(_document(node, source, line))
    return documents


def _document(node: yaml.MappingNode, source: str, line: int) -> Document:
    lines: dict[FieldPath, int] = {}
    problems: list[Problem] = []
    for path, at, duplicate in _walk(node, ()):
        if duplicate:
            problems.append(Problem(source, at, dotted(path), "key is set more than once"))
        lines[path] = at
    if problems:
        raise ConfigError(problems)
    data = _construct(node, source)
    return Document(data, source, line, lines)


class _Loader(yaml.SafeLoader):
    """Kubernetes documents are JSON in YAML clothes: a date stays the text it was written as."""

    yaml_constructors = {
        **yaml.SafeLoader.yaml_constructors,
        "tag:yaml.org,2002:timestamp": yaml.SafeLoader.construct_yaml_str,
    }


def _construct(node: yaml.MappingNode, source: str) -> dict[str, Any]:
    try:
        data: dict[str, Any] = _Loader("").construct_document(node)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        line = mark.line + 1 if mark else 0
        reason = getattr(error, "problem", None) or str(error)
        raise ConfigError([Problem(source, line, "", f"not valid YAML: {reason}")]) from error
    return data


def _walk(node: yaml.Node, path: FieldPath) -> Iterator[tuple[FieldPath, int, bool]]:
    if isinstance(node, yaml.MappingNode):
        seen: set[str] = set()
        for key, value in node.value:
            name = str(key.value)
            here = (*path, name)
            yield here, key.start_mark.line + 1, name in seen
            seen.add(name)
            yield from _walk(value, here)
    elif isinstance(node, yaml.SequenceNode):
        for index, value in enumerate(node.value):
            here = (*path, index)
            yield here, value.start_mark.line + 1, False
            yield from _walk(value, here)
