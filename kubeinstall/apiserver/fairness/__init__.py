"""API priority and fairness: which requests wait for which.

`schemas.py` tells by FlowSchemas which flow a request belongs to, `levels.py` has the seats and queues of priority
levels, `fairness.py` keeps both as their objects say, `status.py` says of each FlowSchema whether its level exists.
"""

from kubeinstall.apiserver.fairness.fairness import Fairness, Flow
from kubeinstall.apiserver.fairness.levels import Rejected
from kubeinstall.apiserver.fairness.status import Conditions

__all__ = ["Conditions", "Fairness", "Flow", "Rejected"]
