"""A real S3 server on loopback: one Ceph monitor, one storage daemon that holds all in memory, one gateway.

From Debian: ceph-mon ceph-osd radosgw ceph-common. Its processes end with the block, and with this process
where that dies first.
"""

import shutil
import socket
import subprocess
import time
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

PROGRAMS = ("ceph", "ceph-authtool", "ceph-mon", "ceph-osd", "monmaptool", "radosgw", "radosgw-admin")
KEY, SECRET = "AKREMOTEREASONER", "Sk0Remote1Reasoner2Secret3Never4Shown5"
START_S = 90.0
"""Longest time any one process may take until it answers, seconds."""


_CONF = """
[global]
fsid = {fsid}
mon host = [v2:127.0.0.1:{mon},v1:127.0.0.1:{mon_v1}]
auth cluster required = cephx
auth service required = cephx
auth client required = cephx
auth allow insecure global id reclaim = false
osd pool default size = 1
osd pool default min size = 1
osd pool default pg num = 1
osd pool default pgp num = 1
osd pool default pg autoscale mode = off
mon allow pool size one = true
mon allow pool delete = true
mon max pg per osd = 1000
mon data avail crit = 1
paxos propose interval = 0.05
paxos min wait = 0.01
mon data avail warn = 1
osd crush chooseleaf type = 0
osd objectstore = memstore
memstore device bytes = 4294967296
osd memory target = 939524096
osd max object name len = 460
run dir = {folder}/run
admin socket = {folder}/run/$name.asok
pid file = {folder}/run/$name.pid
log file = {folder}/log/$name.log
mon data = {folder}/mon
osd data = {folder}/osd
keyring = {folder}/keyring
public addr = 127.0.0.1
cluster addr = 127.0.0.1
[client.rgw]
rgw frontends = beast endpoint=127.0.0.1:{gateway} tcp_nodelay=1
rgw data = {folder}/rgw
rgw thread pool size = 64
rgw enable ops log = false
rgw enable usage log = false
rgw enable gc threads = false
rgw enable lc threads = false
"""


@dataclass(frozen=True, slots=True)
class Server:
    """Where the store answers, and who may ask."""

    endpoint: str
    """http address."""
    key: str = KEY
    """Access key."""
    secret: str = SECRET
    """Its secret."""

    def env(self, endpoint: str | None = None) -> dict[str, str]:
        """The environment variables of a process that may use it, perhaps through another endpoint."""
        return {
            "AWS_ENDPOINT_URL": endpoint or self.endpoint,
            "AWS_ACCESS_KEY_ID": self.key,
            "AWS_SECRET_ACCESS_KEY": self.secret,
            "AWS_DEFAULT_REGION": "us-east-1",
        }


def missing_programs() -> list[str]:
    """What is not installed of what the server needs."""
    return [name for name in PROGRAMS if shutil.which(name) is None]


@contextmanager
def radosgw(folder: Path) -> Iterator[Server]:
    """Run the server in an empty folder for the block.

    Raises:
        RuntimeError: A part of it does not start.
    """
    for name in ("mon", "osd", "run", "log", "rgw"):
        (folder / name).mkdir(parents=True)
    mon, mon_v1, gateway = free_ports(3)
    (folder / "ceph.conf").write_text(
        _CONF.format(fsid=uuid.uuid4(), folder=folder, mon=mon, mon_v1=mon_v1, gateway=gateway), "utf-8"
    )
    with ExitStack() as stack:
        _start_monitor(stack, folder, mon, mon_v1)
        _start_storage(stack, folder)
        user = ("user", "create", "--uid=test", "--display-name=test")
        _run(folder, "radosgw-admin", *user, f"--access-key={KEY}", f"--secret-key={SECRET}")
        _daemon(stack, folder, "radosgw", "-n", "client.rgw")
        wait_for(gateway)
        yield Server(f"http://127.0.0.1:{gateway}")


def free_ports(count: int) -> list[int]:
    """Ports of this machine that nothing listens on."""
    with ExitStack() as stack:
        probes = [stack.enter_context(socket.socket()) for _ in range(count)]
        for probe in probes:
            probe.bind(("127.0.0.1", 0))
        return [int(probe.getsockname()[1]) for probe in probes]


def _start_monitor(stack: ExitStack, folder: Path, port: int, port_v1: int) -> None:
    keyring = str(folder / "keyring")
    caps = [part for who in ("mon", "osd", "mgr") for part in ("--cap", who, "allow *")]
    for number, name in enumerate(("mon.", "client.admin", "client.rgw", "osd.0")):
        make = ["--create-keyring"] if number == 0 else []
        _plain("ceph-authtool", *make, keyring, "--gen-key", "-n", name, *caps)
    address = f"[v2:127.0.0.1:{port},v1:127.0.0.1:{port_v1}]"
    _plain("monmaptool", "--create", "--fsid", str(uuid.uuid4()), "--addv", "a", address, f"{folder}/monmap")
    _run(folder, "ceph-mon", "--mkfs", "-i", "a", "--monmap", f"{folder}/monmap", "--keyring", keyring)
    _daemon(stack, folder, "ceph-mon", "-i", "a")
    wait_for(port)


def _start_storage(stack: ExitStack, folder: Path) -> None:
    name = str(uuid.uuid4())
    _run(folder, "ceph", "osd", "new", name)
    _run(folder, "ceph", "auth", "import", "-i", f"{folder}/keyring")
    _run(folder, "ceph-osd", "-i", "0", "--mkfs", "--osd-uuid", name)
    _daemon(stack, folder, "ceph-osd", "-i", "0")


def _run(folder: Path, program: str, *args: str) -> None:
    _plain(program, "-c", f"{folder}/ceph.conf", *args)


def _plain(*command: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=START_S)
    if done.returncode:
        raise RuntimeError(f"{command[0]} ended with {done.returncode}: {done.stderr[-500:]}")


def _daemon(stack: ExitStack, folder: Path, program: str, *args: str) -> None:
    """Start a server process that ends with the stack, or with this process."""
    command = ["setpriv", "--pdeathsig", "KILL", program, "-c", f"{folder}/ceph.conf", "-f", *args]
    with (folder / "log" / f"{program}.out").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
    stack.callback(_stop, process)


def _stop(process: "subprocess.Popen[bytes]") -> None:
    """End a server; what it holds is thrown away, so that it need not be asked kindly."""
    process.kill()
    process.wait()


def wait_for(port: int) -> None:
    """Wait until something listens on a port of this machine."""
    deadline = time.monotonic() + START_S
    while time.monotonic() < deadline:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.1)
    raise RuntimeError(f"nothing answers on port {port} after {START_S:g} s")
