"""What a reader of the cache wants to see: a namespace, labels, fields."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

#: Says whether labels (or selectable fields) match.
Matcher = Callable[[Mapping[str, str]], bool]


@dataclass(frozen=True, slots=True)
class Selection:
    """A filter. `None` matchers accept everything.

    `label_equals` and `field_equals` are requirements of the form key=value that the matchers also check:
    the cache looks one of them up in an index instead of walking every object.
    """

    namespace: str = ""
    name: str = ""
    labels: Matcher | None = None
    fields: Matcher | None = None
    label_equals: tuple[tuple[str, str], ...] = ()
    field_equals: tuple[tuple[str, str], ...] = ()

    @property
    def everything(self) -> bool:
        """Whether neither labels nor fields matter."""
        return self.labels is None and self.fields is None


#: Accepts every object of a resource.
ALL = Selection()
