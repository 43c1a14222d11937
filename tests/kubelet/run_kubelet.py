"""Runs one kubelet as a process: `python -m tests.kubelet.run_kubelet SETTINGS.json`."""

import json
import sys
from pathlib import Path

from kubeinstall.kubelet.component import Kubelet
from kubeinstall.runtime import logs
from kubeinstall.runtime.host import run_components

logs.configure(level="debug")
run_components(
    ["kubelet"],
    lambda _name: Kubelet,
    {"kubelet": json.loads(Path(sys.argv[1]).read_text())},
    "test",
)
