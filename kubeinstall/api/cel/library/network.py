"""URLs, IP addresses and CIDR blocks."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from typing import ClassVar
from urllib.parse import SplitResult, parse_qs, urlsplit

from kubeinstall.api.cel import types as t
from kubeinstall.api.cel.errors import EvalError
from kubeinstall.api.cel.functions import FUNCTIONS, Function, Signature, define

_URL, _IP, _CIDR = "kubernetes.URL", "net.IP", "net.CIDR"
Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network


@dataclass(frozen=True, slots=True)
class UrlValue:
    """A URL."""

    cel_type: ClassVar[str] = _URL
    of: SplitResult


@dataclass(frozen=True, slots=True)
class IpValue:
    """An address."""

    cel_type: ClassVar[str] = _IP
    of: Address


@dataclass(frozen=True, slots=True)
class CidrValue:
    """A block, with the address as it was written."""

    cel_type: ClassVar[str] = _CIDR
    address: Address
    of: Network


def _parse_url(text: str) -> UrlValue | None:
    try:
        parts = urlsplit(text)
        _ = parts.port
    except ValueError:
        return None
    if any(ord(char) < 33 for char in text):
        return None
    return UrlValue(parts) if parts.scheme or text.startswith("/") else None


@define(f"url(string)->{_URL}")
def _url(text: str) -> UrlValue:
    found = _parse_url(text)
    if found is None:
        raise EvalError(
            f'URL parse error during conversion from string: parse "{text}": invalid URI for request'
        )
    return found


@define("isURL(string)->bool")
def _is_url(text: str) -> bool:
    return _parse_url(text) is not None


@define(f"{_URL}.getScheme()->string")
def _scheme(url: UrlValue) -> str:
    return url.of.scheme


@define(f"{_URL}.getHost()->string")
def _host(url: UrlValue) -> str:
    return url.of.netloc.rpartition("@")[2]


@define(f"{_URL}.getHostname()->string")
def _hostname(url: UrlValue) -> str:
    host: str = _host(url)
    if host.startswith("["):
        return host[1 : host.find("]")]
    return host.partition(":")[0]


@define(f"{_URL}.getPort()->string")
def _port(url: UrlValue) -> str:
    return "" if url.of.port is None else str(url.of.port)


@define(f"{_URL}.getEscapedPath()->string")
def _path(url: UrlValue) -> str:
    from urllib.parse import quote

    return quote(url.of.path, safe="/%:@!$&'()*+,;=-._~")


@define(f"{_URL}.getQuery()->map<string,list<string>>")
def _query(url: UrlValue) -> dict[str, list[str]]:
    return parse_qs(url.of.query, keep_blank_values=True)


def _parse_ip(text: str) -> Address:
    try:
        found = ipaddress.ip_address(text)
    except ValueError as error:
        raise EvalError(
            f"IP Address '{text}' parse error during conversion from string: ParseAddr(\"{text}\"):"
            " unable to parse IP"
        ) from error
    if "%" in text:
        raise EvalError(f"IP address '{text}' with zone value is not allowed")
    if isinstance(found, ipaddress.IPv6Address) and found.ipv4_mapped:
        raise EvalError(f"IPv4-mapped IPv6 address '{text}' is not allowed")
    return found


@define(f"ip(string)->{_IP}")
def _ip(text: str) -> IpValue:
    return IpValue(_parse_ip(text))


@define("isIP(string)->bool")
def _is_ip(text: str) -> bool:
    try:
        _parse_ip(text)
    except EvalError:
        return False
    return True


def _is_canonical(text: str) -> bool:
    return str(_parse_ip(text)) == text


FUNCTIONS["ip.isCanonical"] = Function([Signature(False, (t.STRING,), t.BOOL)], _is_canonical)


@define(f"{_IP}.family()->int")
def _family(ip: IpValue) -> int:
    return ip.of.version


@define(f"{_IP}.isUnspecified()->bool")
def _unspecified(ip: IpValue) -> bool:
    return ip.of.is_unspecified


@define(f"{_IP}.isLoopback()->bool")
def _loopback(ip: IpValue) -> bool:
    return ip.of.is_loopback


@define(f"{_IP}.isLinkLocalMulticast()->bool")
def _link_local_multicast(ip: IpValue) -> bool:
    if ip.of.version == 4:
        return ip.of in ipaddress.ip_network("224.0.0.0/24")
    return ip.of.packed[0] == 0xFF and ip.of.packed[1] & 0x0F == 2


@define(f"{_IP}.isLinkLocalUnicast()->bool")
def _link_local(ip: IpValue) -> bool:
    return ip.of.is_link_local


@define(f"{_IP}.isGlobalUnicast()->bool")
def _global(ip: IpValue) -> bool:
    broadcast = ip.of.version == 4 and int(ip.of) == 0xFFFFFFFF
    return not (
        ip.of.is_unspecified
        or ip.of.is_loopback
        or ip.of.is_multicast
        or ip.of.is_link_local
        or broadcast
    )


@define(f"string({_IP})->string", f"string({_CIDR})->string")
def _text(value: IpValue | CidrValue) -> str:
    return str(value.of) if isinstance(value, IpValue) else f"{value.address}/{value.of.prefixlen}"


def _parse_cidr(text: str) -> CidrValue:
    try:
        found = ipaddress.ip_interface(text)
    except ValueError as error:
        raise EvalError(
            f"network address parse error during conversion from string: {error}"
        ) from error
    if "/" not in text or not text.rpartition("/")[2].isdecimal():
        raise EvalError("network address parse error during conversion from string: no '/'")
    return CidrValue(_parse_ip(text.rpartition("/")[0]), found.network)


@define(f"cidr(string)->{_CIDR}")
def _cidr(text: str) -> CidrValue:
    return _parse_cidr(text)


@define("isCIDR(string)->bool")
def _is_cidr(text: str) -> bool:
    try:
        _parse_cidr(text)
    except EvalError:
        return False
    return True


@define(f"{_CIDR}.containsIP(string)->bool", f"{_CIDR}.containsIP({_IP})->bool")
def _contains_ip(block: CidrValue, ip: IpValue | str) -> bool:
    address = _parse_ip(ip) if isinstance(ip, str) else ip.of
    return address in block.of


@define(f"{_CIDR}.containsCIDR(string)->bool", f"{_CIDR}.containsCIDR({_CIDR})->bool")
def _contains_cidr(block: CidrValue, other: CidrValue | str) -> bool:
    inner = _parse_cidr(other) if isinstance(other, str) else other
    return inner.of.version == block.of.version and inner.of.subnet_of(block.of)  # type: ignore[arg-type] # same version


@define(f"{_CIDR}.ip()->{_IP}")
def _cidr_ip(block: CidrValue) -> IpValue:
    return IpValue(block.address)


@define(f"{_CIDR}.masked()->{_CIDR}")
def _masked(block: CidrValue) -> CidrValue:
    return CidrValue(block.of.network_address, block.of)


@define(f"{_CIDR}.prefixLength()->int")
def _prefix(block: CidrValue) -> int:
    return block.of.prefixlen
