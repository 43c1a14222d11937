"""Typed settings of components, by upstream's flag names.

    @dataclass(frozen=True, kw_only=True)
    class ProxySettings(Settings):
        kubeconfig: Path = setting(flag="kubeconfig", help="Credentials for the API server.")
        sync_period: float = setting(30.0, flag="iptables-sync-period", unit="s", help="…")

`load(ProxySettings, {"kubeconfig": "/etc/kubernetes/kube-proxy.conf"}, "components.yaml")` gives the object, or a
`SettingsError` that names the flag and the file.
"""

from __future__ import annotations

import dataclasses
import re
import types
import typing
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar

from kubeinstall.errors import SettingsError

T = TypeVar("T", bound="Settings")

_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ns|us|µs|ms|s|m|h)")
_SECONDS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}
_TRUE = frozenset({"true", "1", "t", "yes"})
_FALSE = frozenset({"false", "0", "f", "no"})


def setting(
    default: Any = dataclasses.MISSING,
    *,
    flag: str,
    help: str,  # noqa: A002 - the word every flag library uses
    unit: str = "",
    factory: Any = dataclasses.MISSING,
) -> Any:
    """A field of a `Settings` class. Without `default` or `factory` the flag is required.

    A field whose unit is "s" also takes Go durations ("1m30s").
    """
    metadata = {"flag": flag, "help": help, "unit": unit}
    if factory is not dataclasses.MISSING:
        return dataclasses.field(default_factory=factory, metadata=metadata)
    if default is not dataclasses.MISSING:
        return dataclasses.field(default=default, metadata=metadata)
    return dataclasses.field(metadata=metadata)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Settings:
    """Base of all settings. `validate()` may be overridden: raise `SettingsError` naming the flag."""

    def validate(self) -> None:
        """Check what one field alone cannot say."""


def flags(settings_type: type[Settings]) -> dict[str, dataclasses.Field[Any]]:
    """Flag name → field, in order of declaration."""
    return {
        item.metadata["flag"]: item
        for item in dataclasses.fields(settings_type)
        if "flag" in item.metadata
    }


def load(settings_type: type[T], values: Mapping[str, Any], source: str) -> T:
    """Build settings from flag name → value; `source` (a file or "the command line") goes into errors."""
    known = flags(settings_type)
    hints = typing.get_type_hints(settings_type)
    arguments: dict[str, Any] = {}
    for flag, value in values.items():
        item = known.get(flag)
        if item is None:
            raise SettingsError(f"{source}: unknown flag {flag!r}{_suggestion(flag, known)}")
        try:
            arguments[item.name] = _convert(value, hints[item.name], item.metadata["unit"])
        except (TypeError, ValueError) as error:
            raise SettingsError(f"{source}: {flag}: invalid value {value!r}: {error}") from error
    for flag, item in known.items():
        required = (
            item.default is dataclasses.MISSING and item.default_factory is dataclasses.MISSING
        )
        if required and item.name not in arguments:
            raise SettingsError(f"{source}: {flag}: required: {item.metadata['help']}")
    try:
        loaded = settings_type(**arguments)
        loaded.validate()
    except SettingsError as error:
        raise SettingsError(f"{source}: {error}") from error
    return loaded


def seconds(text: str) -> float:
    """A Go duration ("1h2m3.5s", "500ms") or a plain number as seconds."""
    try:
        return float(text)
    except ValueError:
        pass
    parts = _DURATION.findall(text)
    if not parts or "".join(number + unit for number, unit in parts) != text:
        raise ValueError('must be a duration such as "30s" or "1m30s"')
    return sum(float(number) * _SECONDS[unit] for number, unit in parts)


def _suggestion(flag: str, known: Mapping[str, Any]) -> str:
    import difflib

    close = difflib.get_close_matches(flag, known, n=1)
    return f"; did you mean {close[0]!r}?" if close else ""


def _convert(value: Any, wanted: Any, unit: str) -> Any:
    origin = typing.get_origin(wanted)
    arguments = typing.get_args(wanted)
    if origin in {typing.Union, types.UnionType}:
        if value is None:
            return None
        (inner,) = [argument for argument in arguments if argument is not type(None)]
        return _convert(value, inner, unit)
    if origin in {tuple, list}:
        items = value.split(",") if isinstance(value, str) else value
        return origin(_convert(item, arguments[0], unit) for item in items if item != "")
    if origin is dict:
        return _mapping(value, arguments)
    return _scalar(value, wanted, unit)


def _mapping(value: Any, arguments: tuple[Any, ...]) -> dict[Any, Any]:
    if isinstance(value, str):
        value = dict(pair.split("=", 1) for pair in value.split(",") if pair)
    if not isinstance(value, Mapping):
        raise TypeError("must be a mapping, or key=value pairs separated by commas")
    return {str(key): _convert(item, arguments[1], "") for key, item in value.items()}


def _scalar(value: Any, wanted: Any, unit: str) -> Any:
    if wanted is Any:
        return value
    if wanted is bool:
        if isinstance(value, bool):
            return value
        text = str(value).lower()
        if text in _TRUE | _FALSE:
            return text in _TRUE
        raise ValueError("must be true or false")
    if wanted is Path:
        return Path(str(value))
    if wanted is float and unit == "s":
        return seconds(str(value))
    if wanted in {int, float, str}:
        if wanted is str and not isinstance(value, str | int | float):
            raise TypeError("must be text")
        return wanted(value)
    raise TypeError(f"no way to read a {wanted}")
