"""SFTP servers that we didn't write, on loopback: OpenSSH's, rclone's, and asyncssh's for what no server can be talked into doing wrong."""

import asyncio
import contextlib
import os
import pwd
import signal
import socket
import subprocess
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import asyncssh

HOST = "127.0.0.1"
SSHD, SFTP_SERVER = "/usr/sbin/sshd", "/usr/lib/openssh/sftp-server"
PASSWORD = "correct horse"


def key_pair(path: Path, kind: str = "ed25519", passphrase: str = "") -> Path:
    """The private key's path; its public one is beside it."""
    if not path.exists():
        subprocess.run(["ssh-keygen", "-q", "-t", kind, "-N", passphrase, "-f", str(path)], check=True)
    return path


def public_line(path: Path) -> str:
    return path.with_suffix(".pub").read_text("utf-8").strip()


def fingerprint_of(path: Path) -> str:
    said = subprocess.run(["ssh-keygen", "-lf", str(path.with_suffix(".pub"))], check=True, capture_output=True, text=True).stdout
    return said.split()[1]


@dataclass
class Sshd:
    """OpenSSH's server for this user alone; files go into `home`. It may be killed, and started again on the same port. `subsystem`: what it starts for SFTP."""

    folder: Path
    port: int
    user: str = field(default_factory=lambda: pwd.getpwuid(os.getuid()).pw_name)
    host_keys: tuple[str, ...] = ("ed25519",)
    subsystem: str | None = None
    process: subprocess.Popen[bytes] | None = None

    @property
    def home(self) -> Path:
        return self.folder / "home"

    @property
    def key(self) -> Path:
        return self.folder / "client"

    def host_key(self, kind: str) -> Path:
        return self.folder / f"host_{kind}"

    async def start(self) -> None:
        self._launch()
        await listening(self.port)

    def _launch(self) -> None:
        self.home.mkdir(exist_ok=True)
        key_pair(self.key)
        lines = "".join(f"HostKey {key_pair(self.host_key(kind), kind)}\n" for kind in self.host_keys)
        config = self.folder / "sshd_config"
        config.write_text(
            f"Port {self.port}\nListenAddress {HOST}\n{lines}PidFile none\nStrictModes no\nUsePAM no\nPasswordAuthentication no\n"
            f"KbdInteractiveAuthentication no\nPermitRootLogin prohibit-password\nAuthorizedKeysFile {self.key.with_suffix('.pub')}\n"
            f"MaxStartups 100\nSubsystem sftp {self.subsystem or f'{SFTP_SERVER} -d {self.home}'}\n"
        )
        if os.geteuid() == 0:
            Path("/run/sshd").mkdir(exist_ok=True)
        # Signals as they are here, where SIGXFSZ is ignored: a session that may write no more (RLIMIT_FSIZE) says so, and isn't killed by it.
        self.process = _run([SSHD, "-D", "-e", "-f", str(config)], restore_signals=False)

    def kill(self) -> None:
        """With all of its sessions, at once."""
        if self.process is not None:
            for pid in [*_below(self.process.pid), self.process.pid]:
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    continue
            self.process.wait()
            self.process = None


@asynccontextmanager
async def sshd(folder: Path, **options: Any) -> AsyncIterator[Sshd]:
    server = Sshd(folder, free_port(), **options)
    await server.start()
    try:
        yield server
    finally:
        server.kill()


@asynccontextmanager
async def rclone(folder: Path, host_key: Path, user: str = "waybill") -> AsyncIterator[int]:
    """Its server, which takes a password, and writes of one file in whatever order."""
    port = free_port()
    command = [
        "rclone",
        "--config",
        "",
        "serve",
        "sftp",
        str(folder),
        "--addr",
        f"{HOST}:{port}",
        "--user",
        user,
        "--pass",
        PASSWORD,
        "--key",
        str(host_key),
    ]
    process = _run([*command, "--vfs-cache-mode", "writes", "--vfs-write-back", "0s", "--cache-dir", f"{folder}.cache"])
    try:
        await listening(port)
        yield port
    finally:
        process.kill()
        process.wait()


class Faulty(asyncssh.SFTPServer):
    """Writes until `room` bytes are there; then `full` says how it answers. `hang` set: it answers nothing."""

    room, full, free = 0, asyncssh.SFTPFailure("Failure"), 0
    hang: asyncio.Event | None = None

    async def write(self, file_obj: Any, offset: int, data: bytes) -> int:
        if self.hang is not None:
            await self.hang.wait()
        if offset + len(data) > self.room:
            raise self.full
        return int(super().write(file_obj, offset, data))  # type: ignore[call-overload]

    def statvfs(self, path: bytes) -> asyncssh.SFTPVFSAttrs:
        return asyncssh.SFTPVFSAttrs(bsize=4096, frsize=4096, blocks=1000, bavail=self.free, bfree=self.free)


@asynccontextmanager
async def faulty(folder: Path, host_key: Path, make: Callable[[Any], asyncssh.SFTPServer], kbdint: bool = False) -> AsyncIterator[int]:
    """asyncssh's server, which lets anybody in with the password."""

    class Door(asyncssh.SSHServer):
        def password_auth_supported(self) -> bool:
            return not kbdint

        def validate_password(self, username: str, password: str) -> bool:
            return password == PASSWORD

        def kbdint_auth_supported(self) -> bool:
            return kbdint

        def get_kbdint_challenge(self, username: str, lang: str, submethods: str) -> Any:
            return "", "", "", [("What is the password?", False)]

        def validate_kbdint_response(self, username: str, responses: Any) -> bool:
            return list(responses) == [PASSWORD]

    acceptor = await asyncssh.listen(HOST, 0, server_factory=Door, server_host_keys=[str(host_key)], sftp_factory=make, config=None)
    try:
        yield acceptor.get_port()
    finally:
        acceptor.close()
        await acceptor.wait_closed()


def _run(command: list[str], restore_signals: bool = True) -> subprocess.Popen[bytes]:
    return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, restore_signals=restore_signals)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


async def listening(port: int) -> None:
    async with asyncio.timeout(20):
        while True:
            with socket.socket() as probe:
                if probe.connect_ex((HOST, port)) == 0:
                    return
            await asyncio.sleep(0.02)


def _below(pid: int) -> list[int]:
    """The processes that a process has started, and theirs."""
    found = []
    for tasks in Path(f"/proc/{pid}/task").glob("*/children"):
        with contextlib.suppress(FileNotFoundError):  # it has ended meanwhile
            for child in map(int, tasks.read_text().split()):
                found += [*_below(child), child]
    return found
