"""What containerd is given to read, and how the file gets there."""

from __future__ import annotations

import json
from pathlib import Path

from kubeinstall.podnet.conflist import FILE_NAME, render_conflist, write_conflist


def test_contents() -> None:
    document = json.loads(render_conflist(["10.244.3.0/24", "fd00:3::/64"], "br9", 1450))
    bridge, portmap = document["plugins"]
    assert (bridge["type"], bridge["bridge"], bridge["mtu"]) == ("bridge", "br9", 1450)
    assert bridge["isGateway"] is True
    assert bridge["hairpinMode"] is True
    assert bridge["ipam"]["ranges"] == [[{"subnet": "10.244.3.0/24"}], [{"subnet": "fd00:3::/64"}]]
    assert bridge["ipam"]["routes"] == [{"dst": "0.0.0.0/0"}, {"dst": "::/0"}]
    assert portmap["capabilities"] == {"portMappings": True}
    assert "mtu" not in json.loads(render_conflist(["10.0.0.0/24"]))["plugins"][0]


def test_written_once(tmp_path: Path) -> None:
    directory = tmp_path / "net.d"
    assert write_conflist(directory, "one\n") is True
    assert write_conflist(directory, "one\n") is False
    assert write_conflist(directory, "two\n") is True
    assert [path.name for path in directory.iterdir()] == [FILE_NAME]
    assert (directory / FILE_NAME).read_text() == "two\n"
