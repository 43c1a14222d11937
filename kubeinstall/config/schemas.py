"""JSON Schemas of the kubeadm documents, both versions that we read.

Field names and shapes are those of kubeadm.k8s.io/v1beta4; v1beta3 differs where extraArgs was a
map and timeouts stood elsewhere. Meaning beyond shape is checked in `validation`.
"""

from __future__ import annotations

from functools import cache
from typing import Any

Schema = dict[str, Any]

GROUP = "kubeadm.k8s.io"
V1BETA4 = f"{GROUP}/v1beta4"
V1BETA3 = f"{GROUP}/v1beta3"
KUBELET = "kubelet.config.k8s.io/v1beta1"
PROXY = "kubeproxy.config.k8s.io/v1alpha1"

_TEXT: Schema = {"type": "string"}
_FLAG: Schema = {"type": "boolean"}
_NUMBER: Schema = {"type": "integer"}
_DURATION: Schema = {
    "type": "string",
    "pattern": r"^([0-9]+(\.[0-9]+)?(ns|us|µs|ms|s|m|h))+$|^0$",
    "description": 'a duration such as "4m0s"',
}
_PORT: Schema = {"type": "integer", "minimum": 0, "maximum": 65535}
_TEXTS: Schema = {"type": "array", "items": _TEXT}


def _object(**properties: Schema) -> Schema:
    return {"type": "object", "additionalProperties": False, "properties": properties}


def _nullable(schema: Schema) -> Schema:
    # An empty section (`apiServer:` with nothing below) is null in YAML and means "defaults".
    return {"anyOf": [schema, {"type": "null"}]}


_NAME_VALUE = {
    "type": "object",
    "additionalProperties": False,
    "required": ["name", "value"],
    "properties": {"name": {"type": "string", "minLength": 1}, "value": _TEXT},
}
_ENV: Schema = {
    "type": "array",
    "items": {
        "type": "object",
        "required": ["name"],
        "properties": {"name": _TEXT, "value": _TEXT, "valueFrom": {"type": "object"}},
        "additionalProperties": False,
    },
}
_VOLUMES: Schema = {
    "type": "array",
    "items": {
        "type": "object",
        "required": ["name", "hostPath", "mountPath"],
        "additionalProperties": False,
        "properties": {
            "name": _TEXT,
            "hostPath": _TEXT,
            "mountPath": _TEXT,
            "readOnly": _FLAG,
            "pathType": _TEXT,
        },
    },
}
_TAINTS: Schema = _nullable(
    {
        "type": "array",
        "items": {
            "type": "object",
            "required": ["key", "effect"],
            "additionalProperties": False,
            "properties": {
                "key": _TEXT,
                "value": _TEXT,
                "effect": {"enum": ["NoSchedule", "PreferNoSchedule", "NoExecute"]},
                "timeAdded": _TEXT,
            },
        },
    }
)
_PULL_POLICY: Schema = {"enum": ["Always", "IfNotPresent", "Never"]}
_PATCHES = _object(directory=_TEXT)
_ENDPOINT = _object(advertiseAddress=_TEXT, bindPort=_PORT)
_TIMEOUTS = _object(
    controlPlaneComponentHealthCheck=_DURATION,
    kubeletHealthCheck=_DURATION,
    kubernetesAPICall=_DURATION,
    etcdAPICall=_DURATION,
    tlsBootstrap=_DURATION,
    discovery=_DURATION,
    upgradeManifests=_DURATION,
)
_IMAGE: dict[str, Schema] = {"imageRepository": _TEXT, "imageTag": _TEXT}
_TOKENS: Schema = {
    "type": "array",
    "items": {
        "type": "object",
        "required": ["token"],
        "additionalProperties": False,
        "properties": {
            "token": _TEXT,
            "description": _TEXT,
            "ttl": _DURATION,
            "expires": _TEXT,
            "usages": {"type": "array", "items": {"enum": ["signing", "authentication"]}},
            "groups": _TEXTS,
        },
    },
}
_ALGORITHMS: Schema = {"enum": ["RSA-2048", "RSA-3072", "RSA-4096", "ECDSA-P256", "ECDSA-P384"]}


class _Version:
    """The parts whose shape depends on the version."""

    def __init__(self, *, new: bool) -> None:
        self.new = new
        arguments: Schema = {"type": "array", "items": _NAME_VALUE}
        self.arguments = arguments if new else {"type": "object", "additionalProperties": _TEXT}

    def only_new(self, **properties: Schema) -> dict[str, Schema]:
        return properties if self.new else {}

    def only_old(self, **properties: Schema) -> dict[str, Schema]:
        return {} if self.new else properties

    def registration(self) -> Schema:
        return _object(
            name=_TEXT,
            criSocket=_TEXT,
            taints=_TAINTS,
            kubeletExtraArgs=self.arguments,
            ignorePreflightErrors=_TEXTS,
            imagePullPolicy=_PULL_POLICY,
            **self.only_new(imagePullSerial=_FLAG),
        )

    def component(self, **more: Schema) -> Schema:
        return _nullable(
            _object(
                extraArgs=self.arguments,
                extraVolumes=_VOLUMES,
                **self.only_new(extraEnvs=_ENV),
                **more,
            )
        )

    def etcd(self) -> Schema:
        local = _object(
            **_IMAGE,
            dataDir=_TEXT,
            extraArgs=self.arguments,
            serverCertSANs=_TEXTS,
            peerCertSANs=_TEXTS,
            **self.only_new(extraEnvs=_ENV),
        )
        external = _object(
            endpoints={**_TEXTS, "minItems": 1},
            caFile=_TEXT,
            certFile=_TEXT,
            keyFile=_TEXT,
            **self.only_new(httpEndpoints=_TEXTS),
        )
        return _nullable({**_object(local=_nullable(local), external=external)})

    def init(self) -> Schema:
        return _object(
            bootstrapTokens=_TOKENS,
            nodeRegistration=self.registration(),
            localAPIEndpoint=_ENDPOINT,
            certificateKey=_TEXT,
            skipPhases=_TEXTS,
            patches=_PATCHES,
            **self.only_new(timeouts=_TIMEOUTS, dryRun=_FLAG),
        )

    def cluster(self) -> Schema:
        return _object(
            etcd=self.etcd(),
            networking=_nullable(_object(serviceSubnet=_TEXT, podSubnet=_TEXT, dnsDomain=_TEXT)),
            kubernetesVersion=_TEXT,
            controlPlaneEndpoint=_TEXT,
            apiServer=self.component(
                certSANs=_TEXTS, **self.only_old(timeoutForControlPlane=_DURATION)
            ),
            controllerManager=self.component(),
            scheduler=self.component(),
            dns=_nullable(_object(**_IMAGE, **self.only_new(disabled=_FLAG))),
            certificatesDir=_TEXT,
            imageRepository=_TEXT,
            featureGates={"type": "object", "additionalProperties": _FLAG},
            clusterName=_TEXT,
            **self.only_new(
                proxy=_nullable(_object(disabled=_FLAG)),
                encryptionAlgorithm=_ALGORITHMS,
                certificateValidityPeriod=_DURATION,
                caCertificateValidityPeriod=_DURATION,
            ),
        )

    def join(self) -> Schema:
        token = _object(
            token=_TEXT,
            apiServerEndpoint=_TEXT,
            caCertHashes=_TEXTS,
            unsafeSkipCAVerification=_FLAG,
        )
        discovery = _object(
            bootstrapToken=token,
            file=_object(kubeConfigPath=_TEXT),
            tlsBootstrapToken=_TEXT,
            **self.only_old(timeout=_DURATION),
        )
        return {
            **_object(
                nodeRegistration=self.registration(),
                caCertPath=_TEXT,
                discovery=discovery,
                controlPlane=_nullable(_object(localAPIEndpoint=_ENDPOINT, certificateKey=_TEXT)),
                skipPhases=_TEXTS,
                patches=_PATCHES,
                **self.only_new(timeouts=_TIMEOUTS, dryRun=_FLAG),
            ),
            "required": ["discovery"],
        }


def _reset() -> Schema:
    mount_flags = ["MNT_FORCE", "MNT_DETACH", "MNT_EXPIRE", "UMOUNT_NOFOLLOW"]
    return _object(
        cleanupTmpDir=_FLAG,
        certificatesDir=_TEXT,
        criSocket=_TEXT,
        dryRun=_FLAG,
        force=_FLAG,
        ignorePreflightErrors=_TEXTS,
        skipPhases=_TEXTS,
        unmountFlags={"type": "array", "items": {"enum": mount_flags}},
        timeouts=_TIMEOUTS,
    )


def _upgrade() -> Schema:
    common: dict[str, Schema] = {
        "kubernetesVersion": _TEXT,
        "allowExperimentalUpgrades": _FLAG,
        "allowRCUpgrades": _FLAG,
        "dryRun": _FLAG,
        "etcdUpgrade": _FLAG,
        "ignorePreflightErrors": _TEXTS,
        "printConfig": _FLAG,
    }
    run: dict[str, Schema] = {
        "certificateRenewal": _FLAG,
        "patches": _PATCHES,
        "skipPhases": _TEXTS,
        "imagePullPolicy": _PULL_POLICY,
        "imagePullSerial": _FLAG,
    }
    node = {k: common[k] for k in ("dryRun", "etcdUpgrade", "ignorePreflightErrors")}
    return _object(
        apply=_object(**common, **run, forceUpgrade=_FLAG),
        diff=_object(contextLines=_NUMBER),
        node=_object(**node, **run),
        plan=_object(**common),
        timeouts=_TIMEOUTS,
    )


@cache
def schemas() -> dict[tuple[str, str], Schema]:
    """(apiVersion, kind) → JSON Schema (draft 2020-12)."""
    new, old = _Version(new=True), _Version(new=False)
    found = {
        (V1BETA4, "InitConfiguration"): new.init(),
        (V1BETA4, "ClusterConfiguration"): new.cluster(),
        (V1BETA4, "JoinConfiguration"): new.join(),
        (V1BETA4, "ResetConfiguration"): _reset(),
        (V1BETA4, "UpgradeConfiguration"): _upgrade(),
        (V1BETA3, "InitConfiguration"): old.init(),
        (V1BETA3, "ClusterConfiguration"): old.cluster(),
        (V1BETA3, "JoinConfiguration"): old.join(),
        # Passed through to the component, whose settings check the values.
        (KUBELET, "KubeletConfiguration"): {"type": "object", "properties": {}},
        (PROXY, "KubeProxyConfiguration"): {"type": "object", "properties": {}},
    }
    for (api_version, kind), schema in found.items():
        schema["properties"] = {
            "apiVersion": {"const": api_version},
            "kind": {"const": kind},
            **schema["properties"],
        }
    return found
