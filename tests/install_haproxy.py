"""Finds or installs HAProxy, for the test of several servers.

    python tests/install_haproxy.py

Prints its path. If it cannot be installed, prints what was tried and exits with status 1.
"""

import shutil
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from tests.install_chromium import apt_install, can_use_apt


def main() -> int:
    tried = "apt-get: needs root and Debian or Ubuntu"
    if not shutil.which("haproxy") and can_use_apt():
        print("Installing HAProxy by apt-get ...", file=sys.stderr)
        tried = apt_install(("haproxy",)) or "apt-get install haproxy: it is not on PATH"
    path = shutil.which("haproxy")
    if path is None:
        print("No HAProxy for the test of several servers.", tried, sep="\n  ", file=sys.stderr)
        print("Install HAProxy, then run make test again.", file=sys.stderr)
        return 1
    print(path)
    return 0


if __name__ == "__main__":
    sys.exit(main())
