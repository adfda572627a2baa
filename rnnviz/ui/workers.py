"""Several servers of the app behind HAProxy, for more visitors than one process holds.

    running ────▶ exited ────▶ running again
                     └───────▶ after QUICK exits in a row, each within SHORT_LIFE: all stop

All stop at SIGTERM, at SIGINT and when HAProxy ends.
"""

import ctypes
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from socket import socket
from tempfile import TemporaryDirectory
from urllib.request import urlopen

from rnnviz.ui.app_folder import APP
from rnnviz.ui.trouble import sentence

CONFIG = Path(__file__).with_name("haproxy.cfg")
LOOK_EVERY = 0.2  # seconds
SHORT_LIFE = 20.0  # seconds; a server that exits earlier has failed quickly
QUICK = 3  # such exits in a row, after which it is not started again
PR_SET_PDEATHSIG = 1  # of <sys/prctl.h>
TO_STOP = 10.0  # seconds until a process that does not stop is killed

LIBC = ctypes.CDLL(None)


class Options:
    """Streamlit's options that the proxy needs; the others are passed on to every server."""

    def __init__(self, options: Sequence[str]) -> None:
        from streamlit import config

        config._main_script_path = str(APP / "app.py")  # as `streamlit run` does, for its config
        given = dict(_named(options))
        address = given.pop("server.address", None) or config.get_option("server.address")
        self.address = address or "127.0.0.1"
        self.port = int(given.pop("server.port", None) or config.get_option("server.port"))
        self.url = f"http://{self.address}:{self.port}"
        below = given.get("server.baseUrlPath") or config.get_option("server.baseUrlPath")
        self.health = f"/{below.strip('/')}/_stcore/health".replace("//", "/")
        self.passed = [f"--{name}={value}" for name, value in given.items()]


def _named(options: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Names and values of ``--name=value`` and ``--name value``."""
    left = list(options)
    while left:
        name, has_value, value = left.pop(0).removeprefix("--").partition("=")
        if not has_value:
            value = left.pop(0) if left and not left[0].startswith("--") else "true"
        yield name, value


class Server:
    """One server of the app on a port of its own."""

    def __init__(self, number: int, count: int, options: Options) -> None:
        with socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.name = f"server{number}"
        self.health = f"http://127.0.0.1:{self.port}{options.health}"
        own = ["--server.address=127.0.0.1", f"--server.port={self.port}", "--server.headless=true"]
        script = str(APP / "app.py")
        self.command = [sys.executable, "-m", "streamlit", "run", script, *options.passed, *own]
        self.environment = os.environ | {"RNNVIZ_SERVERS": str(count)}
        self.quick_exits = 0
        self.start()

    def start(self) -> None:
        self.begun = time.monotonic()
        # its address, which it prints, is not the one to open
        self.process = subprocess.Popen(
            self.command,
            env=self.environment,
            stdout=subprocess.DEVNULL,
            preexec_fn=_end_with_parent,
        )

    def start_again(self) -> bool:
        """Starts it again if it has exited; False if it exits whenever it is started."""
        status = self.process.poll()
        if status is None:
            return True
        is_quick = time.monotonic() - self.begun < SHORT_LIFE
        self.quick_exits = self.quick_exits + 1 if is_quick else 1
        if self.quick_exits >= QUICK:
            return False
        tell("serve.again", name=self.name, status=status)
        self.start()
        return True


def serve(count: int, options: Sequence[str]) -> int:
    """Serves the app with this number of servers until a signal; returns the exit status."""
    if shutil.which("haproxy") is None:
        tell("serve.no_proxy")
        return 1
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    own, servers, proxy = Options(options), list[Server](), None
    with TemporaryDirectory() as folder:
        try:
            for number in range(1, count + 1):
                servers.append(Server(number, count, own))
            while not any(is_ready(server.health) for server in servers):
                if not _keep_running(servers):
                    return 1
            proxy = start_proxy(servers, own, Path(folder, CONFIG.name))
            said = False
            while _keep_running(servers) and proxy.poll() is None:
                if not said and is_ready(own.url + own.health):
                    tell("serve.ready", count=count, address=own.url)
                    said = True
            return 1
        except KeyboardInterrupt:
            return 0
        finally:
            _stop([proxy, *(server.process for server in servers)])


def is_ready(address: str) -> bool:
    """Whether a server answers at this address of its health."""
    with suppress(OSError), urlopen(address, timeout=1):
        return True
    return False


def start_proxy(servers: list[Server], options: Options, config: Path) -> subprocess.Popen[bytes]:
    """HAProxy with these servers, in the foreground."""
    text = CONFIG.read_text(encoding="utf-8")
    for name, port in ((server.name, server.port) for server in servers):
        text += f"    server {name} 127.0.0.1:{port} cookie {name}\n"
    config.write_text(text, encoding="utf-8")
    environment = {"RNNVIZ_BIND": f"{options.address}:{options.port}"}
    environment |= {"RNNVIZ_HEALTH": options.health}
    command = ["haproxy", "-db", "-f", str(config)]
    return subprocess.Popen(
        command,
        env=os.environ | environment,
        stdout=subprocess.DEVNULL,
        preexec_fn=_end_with_parent,
    )


def _end_with_parent() -> None:
    """Asks Linux to end this process when its parent is killed, which cannot stop it then."""
    if sys.platform == "linux":
        LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGTERM)


def _keep_running(servers: list[Server]) -> bool:
    """Starts servers again that have exited; False if one exits whenever it is started."""
    time.sleep(LOOK_EVERY)
    failing = [server.name for server in servers if not server.start_again()]
    if failing:
        tell("serve.gives_up", name=failing[0])
    return not failing


def _stop(processes: Sequence[subprocess.Popen[bytes] | None]) -> None:
    running = [process for process in processes if process is not None]
    for process in running:
        process.terminate()
    until = time.monotonic() + TO_STOP
    for process in running:
        try:
            process.wait(max(0.1, until - time.monotonic()))
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def tell(key: str, **values: object) -> None:
    """Prints a text of the catalogs."""
    print(sentence(key, **values), file=sys.stderr, flush=True)
