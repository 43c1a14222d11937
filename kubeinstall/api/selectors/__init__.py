"""Label and field selectors: parsing with upstream's messages, and fast matching.

LabelSelector.parse("app in (a,b),!legacy").matches({"app": "a"})
LabelSelector.from_object({"matchLabels": {...}, "matchExpressions": [...]})
field_selector("status.phase!=Running", group="", version="v1", kind="Pod").matches(fields)
selectable_fields("", "Pod", obj)   # what field selectors look at
"""

from kubeinstall.api.selectors.fields import FieldSelector, FieldTerm, field_selector
from kubeinstall.api.selectors.labels import LabelSelector, Requirement, SelectorError
from kubeinstall.api.selectors.selectable import selectable_fields, supported_fields

__all__ = [
    "FieldSelector",
    "FieldTerm",
    "LabelSelector",
    "Requirement",
    "SelectorError",
    "field_selector",
    "selectable_fields",
    "supported_fields",
]
