"""What other servers admitted keeps a count from being trusted, for a while."""

from __future__ import annotations

import time

from kubeinstall.api.types import Object
from kubeinstall.apiserver.admission.raises import Raises


def quota(used: str, version: str, name: str = "q") -> Object:
    metadata = {"namespace": "ns", "name": name, "resourceVersion": version}
    return {"metadata": metadata, "status": {"used": {"pods": used}}}


def test_only_rises_by_others_are_waited_for() -> None:
    raises = Raises(0.3)
    raises.seen(quota("1", "1"), quota("2", "2"))
    raises.ours(quota("2", "2"))
    assert raises.wait("ns", "q") == 0
    raises.seen(quota("2", "2"), quota("1", "3"))
    assert raises.wait("ns", "q") == 0, "given back"
    raises.seen(quota("1", "3"), quota("2", "4"))
    assert 0 < raises.wait("ns", "q") <= 0.3
    assert raises.wait("ns", "other") == 0
    time.sleep(0.35)
    assert raises.wait("ns", "q") == 0


def test_a_first_count_is_no_rise() -> None:
    raises = Raises(5)
    new: Object = {"metadata": {"namespace": "ns", "name": "q", "resourceVersion": "1"}}
    raises.seen(new, quota("7", "2"))
    assert raises.wait("ns", "q") == 0


def test_a_rise_whose_object_is_there_is_waited_for_no_more() -> None:
    raises = Raises(5)
    raises.seen(quota("1", "1"), quota("2", "2"))
    raises.ours(quota("2", "2"))
    raises.seen(quota("2", "2"), quota("3", "3"))
    raises.seen(quota("3", "3"), quota("4", "4"))
    raises.landed("ns", "q")
    assert raises.wait("ns", "q") > 0
    raises.landed("ns", "q")
    assert raises.wait("ns", "q") == 0
