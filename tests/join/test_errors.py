"""What can go wrong before a host is changed: one clear error each, an exit code, and a host as it was."""

from __future__ import annotations

import re

import pytest

from tests.join.conftest import FIRST, WORKER, Answer, Lab

# Each is some seconds on an idle machine; the first one also makes the hosts.
pytestmark = [pytest.mark.e2e, pytest.mark.timeout(480)]

FAILED, PREFLIGHT, CONFIGURATION = 1, 2, 3
#: Lines of an ordinary screen.
SCREEN = 24
#: Where a join changes something. What the test itself installs is elsewhere.
CHANGED = (
    "find /etc /var/lib /usr/local /opt /run/kubeinstall -xdev -newer /root/stamp "
    "! -path '/etc' ! -path '/var/lib' ! -path '*/private*' ! -path '*/systemd/*' -print 2>/dev/null || true"
)


@pytest.fixture(scope="module")
def command(lab: Lab) -> str:
    """A join command that would work."""
    return lab.command()


def refused(lab: Lab, script: str, code: int, *said: str) -> Answer:
    """Run it on the bare host: it must fail with this code and these words, and change nothing."""
    lab.ok(WORKER, "touch /root/stamp")
    answer = lab.run(WORKER, script)
    assert answer.code == code, answer.text
    for words in said:
        assert words in answer.text, answer.text
    assert "Traceback" not in answer.text
    assert len(answer.text.splitlines()) <= SCREEN, answer.text
    assert not lab.ok(WORKER, CHANGED)
    return answer


def with_token(command: str, token: str) -> str:
    return re.sub(r"--token \S+", f"--token {token}", command)


def test_a_wrong_hash(lab: Lab, command: str) -> None:
    wrong = re.sub(r"sha256:\w+", "sha256:" + "0" * 64, command)
    refused(lab, wrong, FAILED, "is not pinned", "kubeinstall token create --print-join-command")


def test_a_mistyped_secret(lab: Lab, command: str) -> None:
    secret = re.sub(r"(--token \w{6})\.\w{16}", r"\1.0123456789abcdef", command)
    answer = refused(lab, secret, FAILED, "does not fit the token")
    assert "0123456789abcdef" not in answer.text


def test_an_expired_token(lab: Lab, command: str) -> None:
    short = lab.ok(FIRST, "kubeinstall token create --ttl 1s")
    wanted = "kubeinstall token create --print-join-command"
    refused(lab, f"sleep 2; {with_token(command, short)}", FAILED, "has expired", wanted)


def test_an_unknown_token(lab: Lab, command: str) -> None:
    unknown = with_token(command, "abcdef.0123456789abcdef")
    refused(lab, unknown, FAILED, "it is unknown there", "token create --print-join-command")


def test_a_malformed_token(lab: Lab, command: str) -> None:
    form = '"[a-z0-9]{6}.[a-z0-9]{16}"'
    refused(lab, with_token(command, "nonsense"), CONFIGURATION, "bootstrapToken.token", form)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("", "exactly one of bootstrapToken and file must be set"),
        ("10.0.0.1:6443 --token abcdef.0123456789abcdef", "unsafeSkipCAVerification"),
        (
            "10.0.0.1:6443 --token abcdef.0123456789abcdef --discovery-token-ca-cert-hash x",
            "sha256:",
        ),
        (
            "--token abcdef.0123456789abcdef --discovery-token-unsafe-skip-ca-verification",
            "apiServerEndpoint",
        ),
    ],
)
def test_a_command_that_lacks_something(lab: Lab, words: str, said: str) -> None:
    refused(lab, f"kubeinstall join {words}", CONFIGURATION, said)


def test_a_used_name(lab: Lab, command: str) -> None:
    said = f'a Node with name "{FIRST}" and status "Ready" already exists in the cluster'
    refused(lab, f"{command} --node-name {FIRST}", FAILED, said, f"kubectl delete node {FIRST}")


@pytest.mark.parametrize(("shift", "said"), [("+1h", "ahead of"), ("-1h", "behind")])
def test_a_clock_an_hour_off(lab: Lab, command: str, shift: str, said: str) -> None:
    """Hosts of one machine share its clock: Debian's faketime gives the command and all that it starts another."""
    lab.ok(WORKER, "which faketime || { apt-get -qq update && apt-get -qq install -y faketime; }")
    refused(
        lab, f"faketime -f {shift} {command}", PREFLIGHT, "[ERROR ClockSkew]", said, "timedatectl"
    )


def test_a_full_disk(lab: Lab, command: str) -> None:
    script = f"mount -t tmpfs -o size=100m none /var/lib && {{ {command}; code=$?; umount /var/lib; exit $code; }}"
    refused(lab, script, PREFLIGHT, "[ERROR DiskSpace--var-lib]", "1024 MB are needed")


def test_a_used_port(lab: Lab, command: str) -> None:
    script = f"""
python3 -m http.server 10250 >/dev/null 2>&1 & server=$!
for i in $(seq 50); do grep -q :280A /proc/net/tcp && break; sleep 0.1; done
{command}; code=$?; kill $server; exit $code"""
    refused(lab, script, PREFLIGHT, "[ERROR Port-10250]: Port 10250 is in use by", "ss -ltnp")


def test_not_root(lab: Lab, command: str) -> None:
    user = (
        "setpriv --reuid 1000 --clear-groups --inh-caps=+dac_read_search --ambient-caps=+dac_read_search "
        "env HOME=/tmp"
    )
    said = "[ERROR IsPrivilegedUser]: user is not running as root"
    refused(
        lab,
        f"{user} $(which python) -m kubeinstall {command.removeprefix('kubeinstall ')}",
        PREFLIGHT,
        said,
    )


@pytest.mark.parametrize(
    ("place", "said"),
    [
        ("{address}:6444", "connection refused"),
        ("{network}.250:6443", "no route to host"),
        ("{address}:22", "does not speak TLS"),
        ("nosuch.invalid:6443", "not known"),
    ],
)
def test_nobody_answers(lab: Lab, command: str, place: str, said: str) -> None:
    """Tried again for `timeouts.discovery`: five minutes, of which a test has a few seconds."""
    address = lab.addresses[FIRST]
    endpoint = place.format(address=address, network=address.rpartition(".")[0])
    token, pin = re.findall(r"--(?:token|discovery-token-ca-cert-hash) (\S+)", command)
    discovery = f"{{bootstrapToken: {{token: {token}, apiServerEndpoint: '{endpoint}', caCertHashes: ['{pin}']}}}}"
    config = f"""
cat >/root/join.yaml <<'END'
apiVersion: kubeadm.k8s.io/v1beta4
kind: JoinConfiguration
discovery: {discovery}
timeouts: {{discovery: 2s}}
END
kubeinstall join --config /root/join.yaml"""
    refused(lab, config, FAILED, "cannot reach the cluster", said, endpoint, "kubectl cluster-info")


def test_certificates_that_are_not_shared(lab: Lab, command: str) -> None:
    plane = f"{command} --control-plane --certificate-key"
    lab.run(FIRST, "kubectl -n kube-system delete secret kubeadm-certs")
    refused(lab, f"{plane} {'0' * 64}", FAILED, "shares no certificates", "init phase upload-certs")
    lab.share_certificates()
    refused(lab, f"{plane} {'0' * 64}", FAILED, "error decoding certificate")
    refused(lab, f"{plane} {'0' * 9}", CONFIGURATION, "controlPlane.certificateKey")
    refused(lab, f"{command} --control-plane", FAILED, "needs --certificate-key")


def test_phases_that_are_not(lab: Lab, command: str) -> None:
    refused(lab, f"{command} --skip-phases nonsense", FAILED, 'invalid phase name: "nonsense"')
    refused(lab, "kubeinstall join phase nonsense", FAILED, 'invalid phase name: "nonsense"')


def test_a_dry_run_changes_nothing(lab: Lab, command: str) -> None:
    lab.ok(WORKER, "touch /root/stamp")
    text = lab.ok(WORKER, f"{command} --dry-run")
    assert "nothing was changed" in text
    assert "bootstrap-kubelet.conf" in text
    assert not lab.ok(WORKER, CHANGED)
    unsafe = re.sub(r"--discovery-token-ca-cert-hash \S+", "", command)
    text = lab.ok(
        WORKER,
        f"{unsafe} --discovery-token-unsafe-skip-ca-verification --node-name other --dry-run",
    )
    assert "hostname-override: other" in text
    assert not lab.ok(WORKER, CHANGED)


def test_a_discovery_file(lab: Lab) -> None:
    """A kubeconfig with credentials; one without, and a token; an https URL."""
    kubeconfig = lab.ok(FIRST, "cat /etc/kubernetes/admin.conf")
    info = lab.ok(
        FIRST, "kubectl -n kube-public get configmap cluster-info -o jsonpath={.data.kubeconfig}"
    )
    (lab.root(WORKER) / "root/admin.conf").write_text(kubeconfig)
    (lab.root(WORKER) / "root/info.conf").write_text(info)
    join = "kubeinstall join --dry-run --discovery-file"
    assert "nothing was changed" in lab.ok(WORKER, f"{join} /root/admin.conf")
    token = lab.ok(FIRST, "kubeinstall token create --usages authentication")
    lab.ok(WORKER, f"{join} /root/info.conf --tls-bootstrap-token {token}")
    refused(lab, f"{join} /root/info.conf", FAILED, "--tls-bootstrap-token")
    refused(lab, f"{join} /root/absent.conf", FAILED, "cannot be read")
    serve = """
import http.server, ssl
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain("/etc/kubernetes/pki/apiserver.crt", "/etc/kubernetes/pki/apiserver.key")
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200); self.end_headers(); self.wfile.write(open("/root/info.conf", "rb").read())
server = http.server.HTTPServer(("", 8443), Handler)
server.socket = context.wrap_socket(server.socket, server_side=True)
server.serve_forever()
"""
    (lab.root(FIRST) / "root/info.conf").write_text(info)
    (lab.root(FIRST) / "root/serve.py").write_text(serve)
    lab.ok(FIRST, "systemd-run --unit=serve -q python3 /root/serve.py")
    authority = lab.ok(FIRST, "cat /etc/kubernetes/pki/ca.crt")
    (lab.root(WORKER) / "root/ca.crt").write_text(authority)
    url = f"https://{lab.addresses[FIRST]}:8443/info.conf"
    try:
        trusting = f"SSL_CERT_FILE=/root/ca.crt {join} {url} --tls-bootstrap-token {token}"
        assert "nothing was changed" in lab.ok(WORKER, trusting)
        refused(lab, f"{join} {url} --tls-bootstrap-token {token}", FAILED, "cannot be fetched")
    finally:
        lab.ok(FIRST, "systemctl stop serve")
