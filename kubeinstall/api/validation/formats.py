"""Formats of names and values, each a function that returns upstream's complaints (`k8s.io/apimachinery` validation).

An empty list means that the value is well formed.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable

Check = Callable[[str], list[str]]

_LABEL = r"[a-z0-9]([-a-z0-9]*[a-z0-9])?"
_SUBDOMAIN = _LABEL + r"(\." + _LABEL + r")*"
_LABEL1035 = r"[a-z]([-a-z0-9]*[a-z0-9])?"
_QUALIFIED = r"([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]"
_LABEL_VALUE = r"(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?"
_WILDCARD = r"\*\." + _SUBDOMAIN
_CONFIG_KEY = r"[-._a-zA-Z0-9]+"
_C_IDENTIFIER = r"[A-Za-z_][A-Za-z0-9_]*"
_HTTP_PATH = r"[A-Za-z0-9/\-._~%!$&'()*+,;=:]+"
_HTTP_HEADER = r"[-A-Za-z0-9]+"
_ENV_NAME = re.compile(r"[ -<>-~]+")  # printable ASCII without "="

_LABEL_MESSAGE = (
    "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end "
    "with an alphanumeric character"
)
_SUBDOMAIN_MESSAGE = (
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start "
    "and end with an alphanumeric character"
)
_LABEL1035_MESSAGE = (
    "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character, "
    "and end with an alphanumeric character"
)
_QUALIFIED_MESSAGE = (
    "must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric "
    "character"
)
_LABEL_VALUE_MESSAGE = (
    "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start "
    "and end with an alphanumeric character"
)


def _matches(pattern: str, text: str) -> bool:
    return re.fullmatch(pattern, text, re.ASCII) is not None


def regex_message(message: str, pattern: str, *examples: str) -> str:
    """The message, examples and pattern as upstream's `RegexError` joins them."""
    shown = "e.g. "
    for index, example in enumerate(examples):
        shown += (" or " if index else "") + f"'{example}', "
    return f"{message} ({shown}regex used for validation is '{pattern}')"


def max_length(most: int) -> str:
    """Complaint about a text that is too long."""
    return f"must be no more than {most} characters"


def max_bytes(most: int) -> str:
    """Complaint about a text that has too many bytes."""
    return f"must be no more than {most} bytes"


def dns1123_label(text: str) -> list[str]:
    """RFC 1123 label, at most 63 characters."""
    problems = [max_length(63)] if len(text) > 63 else []
    if not _matches(_LABEL, text):
        if _matches(_SUBDOMAIN, text):
            problems.append("must not contain dots")
        else:
            problems.append(regex_message(_LABEL_MESSAGE, _LABEL, "my-name", "123-abc"))
    return problems


def dns1123_subdomain(text: str) -> list[str]:
    """RFC 1123 subdomain, at most 253 characters."""
    problems = [max_length(253)] if len(text) > 253 else []
    if not _matches(_SUBDOMAIN, text):
        problems.append(regex_message(_SUBDOMAIN_MESSAGE, _SUBDOMAIN, "example.com"))
    return problems


def dns1035_label(text: str) -> list[str]:
    """RFC 1035 label, at most 63 characters."""
    problems = [max_length(63)] if len(text) > 63 else []
    if not _matches(_LABEL1035, text):
        problems.append(regex_message(_LABEL1035_MESSAGE, _LABEL1035, "my-name", "abc-123"))
    return problems


def wildcard_subdomain(text: str) -> list[str]:
    """`*.` and a subdomain."""
    problems = [max_length(253)] if len(text) > 253 else []
    if not _matches(_WILDCARD, text):
        message = (
            "a wildcard DNS-1123 subdomain must start with '*.', followed by a valid DNS subdomain, which must consist "
            "of lower case alphanumeric characters, '-' or '.' and end with an alphanumeric character"
        )
        problems.append(regex_message(message, _WILDCARD, "*.example.com"))
    return problems


def path_segment(text: str) -> list[str]:
    """A name that can be a part of a URL path (RBAC names)."""
    if text in {".", ".."}:
        return [f"may not be '{text}'"]
    return [f"may not contain '{part}'" for part in ("/", "%") if part in text]


def qualified_name(text: str) -> list[str]:
    """`[prefix/]name`: label keys, resource names, condition types."""
    problems: list[str] = []
    parts = text.split("/")
    if len(parts) == 2:
        prefix, name = parts
        if not prefix:
            problems.append("prefix part must be non-empty")
        else:
            problems += [f"prefix part {problem}" for problem in dns1123_subdomain(prefix)]
    elif len(parts) == 1:
        name = parts[0]
    else:
        message = regex_message(
            f"a qualified name {_QUALIFIED_MESSAGE}", _QUALIFIED, "MyName", "my.name", "123-abc"
        )
        return [
            f"{message} with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')"
        ]
    if not name:
        problems.append("name part must be non-empty")
    elif len(name) > 63:
        problems.append(f"name part {max_bytes(63)}")
    if not _matches(_QUALIFIED, name):
        message = regex_message(_QUALIFIED_MESSAGE, _QUALIFIED, "MyName", "my.name", "123-abc")
        problems.append(f"name part {message}")
    return problems


def label_value(text: str) -> list[str]:
    """A label's value, at most 63 bytes."""
    problems = [max_bytes(63)] if len(text.encode()) > 63 else []
    if not _matches(_LABEL_VALUE, text):
        problems.append(
            regex_message(_LABEL_VALUE_MESSAGE, _LABEL_VALUE, "MyValue", "my_value", "12345")
        )
    return problems


def config_key(text: str) -> list[str]:
    """A key of a ConfigMap or Secret."""
    problems = [max_length(253)] if len(text) > 253 else []
    if not _matches(_CONFIG_KEY, text):
        message = "a valid config key must consist of alphanumeric characters, '-', '_' or '.'"
        problems.append(regex_message(message, _CONFIG_KEY, "key.name", "KEY_NAME", "key-name"))
    if text == ".":
        problems.append("must not be '.'")
    elif text == "..":
        problems.append("must not be '..'")
    elif text.startswith(".."):
        problems.append("must not start with '..'")
    return problems


def env_name(text: str) -> list[str]:
    """An environment variable's name as relaxed since v1.34 (KEP-4369): printable ASCII without `=`."""
    if not text:
        return ["environment variable name must not be empty"]
    if _ENV_NAME.fullmatch(text):
        return []
    return [
        "a valid environment variable name must consist only of printable ASCII characters other than '='"
    ]


def c_identifier(text: str) -> list[str]:
    """A C identifier."""
    if _matches(_C_IDENTIFIER, text):
        return []
    message = (
        "a valid C identifier must start with alphabetic character or '_', followed by a string of alphanumeric "
        "characters or '_'"
    )
    return [regex_message(message, _C_IDENTIFIER, "my_name", "MY_NAME", "MyName")]


def port_number(number: int) -> list[str]:
    """A port, 1 to 65535."""
    return [] if 1 <= number <= 65535 else ["must be between 1 and 65535, inclusive"]


def port_name(text: str) -> list[str]:
    """An IANA service name: at most 15 characters, with a letter, no doubled or outer hyphens."""
    problems: list[str] = []
    if len(text) > 15:
        problems.append("must be no more than 15 characters")
    if not _matches(r"[-a-z0-9]+", text):
        problems.append("must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)")
    if not re.search(r"[a-z]", text):
        problems.append("must contain at least one letter (a-z)")
    if "--" in text:
        problems.append("must not contain consecutive hyphens")
    if text.startswith("-") or text.endswith("-"):
        problems.append("must not begin or end with a hyphen")
    return problems


def ip_address(text: str) -> list[str]:
    """An IPv4 or IPv6 address."""
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return ["must be a valid IP address, (e.g. 10.9.8.7 or 2001:db8::ffff)"]
    return []


def ip_family(text: str) -> int:
    """4, 6, or 0 for what is no address."""
    try:
        return ipaddress.ip_address(text).version
    except ValueError:
        return 0


def cidr(text: str) -> list[str]:
    """An address block; host bits may be set, as upstream's legacy rule lets pass."""
    if "/" in text and parse_network(text) is not None:
        return []
    return ["must be a valid CIDR value, (e.g. 10.9.8.0/24 or 2001:db8::/64)"]


def parse_network(text: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network | None:
    """The block, or None."""
    try:
        return ipaddress.ip_network(text, strict=False)
    except ValueError:
        return None


def non_special_ip(text: str) -> list[str]:
    """An address that endpoints may have: not unspecified, loopback, link-local or link-local multicast."""
    address = ipaddress.ip_address(text)
    problems: list[str] = []
    if address.is_unspecified:
        problems.append("may not be unspecified (0.0.0.0 or ::)")
    if address.is_loopback:
        problems.append("may not be in the loopback range (127.0.0.0/8, ::1/128)")
    if address.is_link_local:
        problems.append("may not be in the link-local range (169.254.0.0/16, fe80::/10)")
    if address.is_multicast and str(address).startswith(("224.0.0.", "ff02:")):
        problems.append("may not be in the link-local multicast range (224.0.0.0/24, ff02::/10)")
    return problems


def http_header_name(text: str) -> list[str]:
    """A header's name."""
    if _matches(_HTTP_HEADER, text):
        return []
    message = "a valid HTTP header must consist of alphanumeric characters or '-'"
    return [regex_message(message, _HTTP_HEADER, "X-Header-Name")]


def fully_qualified_domain(text: str) -> list[str]:
    """A domain of at least two segments (API groups of CRDs)."""
    if not text:
        return [""]
    problems = dns1123_subdomain(text)
    if not problems and len(text.split(".")) < 2:
        return ["should be a domain with at least two segments separated by dots"]
    return problems


def fully_qualified_name(text: str) -> list[str]:
    """A domain of at least three segments (webhook names)."""
    problems = dns1123_subdomain(text)
    if not problems and len(text.split(".")) < 3:
        return ["should be a domain with at least three segments separated by dots"]
    return problems


def domain_prefixed_path(text: str) -> list[str]:
    """`example.com/some-path` (finalizers of namespaces, managedBy)."""
    if not text:
        return []
    host, slash, path = text.partition("/")
    if not slash or not host or not path:
        return ['must be a domain-prefixed path (such as "acme.io/foo")']
    problems = [f"host part {problem}" for problem in dns1123_subdomain(host)]
    if not _matches(_HTTP_PATH, path):
        message = regex_message("Invalid path", _HTTP_PATH)
        problems.append(message)
    return problems


def percent(text: str) -> list[str]:
    """`N%`."""
    if _matches(r"[0-9]+%", text):
        return []
    return [
        regex_message(
            "a valid percent string must be a numeric string followed by an ending '%'",
            "[0-9]+%",
            "1%",
            "93%",
        )
    ]
