from __future__ import annotations

import copy
from typing import Any

from kubeinstall.api.strategy.pods import update_resize
from kubeinstall.api.validation.errors import Errors
from kubeinstall.api.validation.pod.pod import check_resize_update


def guaranteed() -> dict[str, Any]:
    amounts = {"cpu": "30m", "memory": "40Mi"}
    container = {
        "name": "c",
        "image": "i",
        "imagePullPolicy": "Always",
        "terminationMessagePolicy": "File",
        "resources": {"requests": dict(amounts), "limits": dict(amounts)},
    }
    spec = {"containers": [container], "restartPolicy": "Always", "dnsPolicy": "Default"}
    return {"metadata": {"name": "p"}, "spec": spec, "status": {"qosClass": "Guaranteed"}}


def said(new: dict[str, Any], old: dict[str, Any]) -> str:
    errors = Errors()
    check_resize_update(errors, new, old)
    return "\n".join(str(one) for one in errors)


def test_a_resize_may_not_change_the_class() -> None:
    old = guaranteed()
    new = copy.deepcopy(old)  # the status that comes with it is still the old one
    new["spec"]["containers"][0]["resources"]["requests"]["cpu"] = "10m"
    assert "Pod QOS Class may not change" in said(new, old)


def test_a_resize_within_the_class() -> None:
    old = guaranteed()
    new = copy.deepcopy(old)
    for part in ("requests", "limits"):
        new["spec"]["containers"][0]["resources"][part]["cpu"] = "50m"
    assert "Pod QOS Class" not in said(new, old)


def test_a_pod_with_resources_of_its_own_resizes_them() -> None:
    old = guaranteed()
    amounts = {"cpu": "1", "memory": "1Gi"}
    old["spec"]["resources"] = {"requests": dict(amounts), "limits": dict(amounts)}
    new = copy.deepcopy(old)
    for part in ("requests", "limits"):
        new["spec"]["resources"][part]["cpu"] = "2"
    update_resize(new, old)
    assert new["spec"]["resources"]["limits"]["cpu"] == "2"
    assert "only cpu and memory" not in said(new, old)


def test_a_pod_without_resources_of_its_own_gets_none() -> None:
    old = guaranteed()
    new = copy.deepcopy(old)
    new["spec"]["resources"] = {"limits": {"cpu": "2"}}
    update_resize(new, old)
    assert "resources" not in new["spec"]
