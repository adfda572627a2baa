"""Finds or installs a Chromium for the browser tests.

    python tests/install_chromium.py

Prints its path. If none can be installed, prints what was tried and exits with status 1.
"""

import os
import re
import shutil
import subprocess
import sys

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
PACKAGES = ("chromium", "fonts-noto-cjk")  # the second shows Korean
PLAYWRIGHT = (sys.executable, "-m", "playwright")
PLAYWRIGHT_PATH = """
from playwright.sync_api import sync_playwright
with sync_playwright() as playwright:
    print(playwright.chromium.executable_path)
"""


def find_chromium() -> str | None:
    """Path of a Chromium that starts: from PATH, else Playwright's; None if there is none."""
    for name in NAMES:
        path = shutil.which(name)
        if path and starts(path):
            return path
    # In a new process, because Playwright's sync API cannot be started twice in one.
    path = run([sys.executable, "-c", PLAYWRIGHT_PATH]).stdout.strip()
    return path if path and starts(path) else None


def starts(path: str) -> bool:
    # The file may exist without a browser: Ubuntu's chromium-browser may only refer to a snap.
    try:
        return run([path, "--version"], timeout=60).returncode == 0
    except (OSError, subprocess.TimeoutExpired):
        return False


def shows_korean() -> bool:
    return bool(shutil.which("fc-list")) and bool(run(["fc-list", ":lang=ko"]).stdout.strip())


def run(command: list[str], timeout: float | None = None) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
    return subprocess.run(
        command, capture_output=True, text=True, check=False, timeout=timeout, env=environment
    )


def attempt(*command: str) -> str | None:
    """The error as one line without URLs; None if the command succeeded."""
    result = run(list(command))
    if not result.returncode:
        return None
    lines = (result.stderr or result.stdout).strip().splitlines() or ["it says nothing"]
    errors = [line for line in lines if re.match(r"E:|.*\berror\b", line, re.IGNORECASE)]
    reason = re.sub(r"\w+://\S+", "<address>", (errors or lines)[-1].strip())
    shown = " ".join("python" if word == sys.executable else word for word in command)
    return f"{shown}: exit {result.returncode}: {reason}"


def can_use_apt() -> bool:
    return hasattr(os, "geteuid") and os.geteuid() == 0 and shutil.which("apt-get") is not None


def apt_install(packages: tuple[str, ...]) -> str | None:
    apt = ("apt-get", "-qq", "-o", "DPkg::Lock::Timeout=120")
    run([*apt, "update"])  # may fail for a source that these packages do not need
    return attempt(*apt, "install", "-y", "--no-install-recommends", *packages)


def install_chromium() -> tuple[str | None, list[str]]:
    """Path of an installed Chromium or None, and the attempts that failed."""
    tried: list[str] = []
    if can_use_apt():
        print("Installing Chromium by apt-get ...", file=sys.stderr)
        failure = apt_install(PACKAGES)
        if path := find_chromium():
            return path, tried
        tried.append(failure or "apt-get install chromium: it does not start")
        playwright_options = ["--with-deps"]  # installs the system libraries that it needs
    else:
        tried.append("apt-get: needs root and Debian or Ubuntu")
        playwright_options = []
    print("Installing Chromium by Playwright ...", file=sys.stderr)
    failure = attempt(*PLAYWRIGHT, "install", *playwright_options, "chromium")
    if path := find_chromium():
        return path, tried
    tried.append(failure or "playwright install chromium: it does not start")
    return None, tried


def main() -> int:
    tried: list[str] = []
    path = find_chromium()
    if path is None:
        path, tried = install_chromium()
    if path is None:
        looked = f"on PATH: {', '.join(NAMES)}; Playwright's own: none that starts"
        print("No Chromium for the browser tests.", looked, *tried, sep="\n  ", file=sys.stderr)
        print("Install Chromium or Chrome, then run make test again.", file=sys.stderr)
        return 1
    if not shows_korean():
        failure = apt_install(PACKAGES[1:]) if can_use_apt() else "needs root and apt-get"
        if failure:
            print(f"No font shows Korean: {failure}. Install fonts-noto-cjk.", file=sys.stderr)
    print(path)
    return 0


if __name__ == "__main__":
    sys.exit(main())
