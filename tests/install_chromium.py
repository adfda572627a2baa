"""A Chromium for the browser tests: found, or else installed.

    python tests/install_chromium.py

Prints its path. Exits with 1, naming what was tried, where none can be had.
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
    """Path of a Chromium that starts: one on PATH, else Playwright's own; None without one."""
    for name in NAMES:
        path = shutil.which(name)
        if path and starts(path):
            return path
    # In a process of its own, for Playwright refuses to start twice in one.
    path = run([sys.executable, "-c", PLAYWRIGHT_PATH]).stdout.strip()
    return path if path and starts(path) else None


def starts(path: str) -> bool:
    # A name alone proves nothing: Ubuntu's chromium-browser may only point to a snap.
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
    """What went wrong, as one line without addresses; None when the command succeeded."""
    result = run(list(command))
    if not result.returncode:
        return None
    said = (result.stderr or result.stdout).strip().splitlines() or ["it says nothing"]
    telling = [line for line in said if re.match(r"E:|.*\berror\b", line, re.IGNORECASE)]
    reason = re.sub(r"\w+://\S+", "<address>", (telling or said)[-1].strip())
    shown = " ".join("python" if word == sys.executable else word for word in command)
    return f"{shown}: exit {result.returncode}: {reason}"


def can_use_apt() -> bool:
    return hasattr(os, "geteuid") and os.geteuid() == 0 and shutil.which("apt-get") is not None


def apt_install(packages: tuple[str, ...]) -> str | None:
    apt = ("apt-get", "-qq", "-o", "DPkg::Lock::Timeout=120")
    run([*apt, "update"])  # one source out of reach need not matter to these packages
    return attempt(*apt, "install", "-y", "--no-install-recommends", *packages)


def install_chromium() -> tuple[str | None, list[str]]:
    """Path of an installed Chromium or None, and what was tried in vain."""
    tried: list[str] = []
    if can_use_apt():
        print("Installing Chromium by apt-get ...", file=sys.stderr)
        failure = apt_install(PACKAGES)
        if path := find_chromium():
            return path, tried
        tried.append(failure or "apt-get install chromium: it does not start")
        playwright_options = ["--with-deps"]  # the libraries of the system that it needs
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
