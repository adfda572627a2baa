"""Serves the app by the command ``rnnviz``, visits two pages, prints what was found, and ends.

    python tests/odd_machine.py <folder of the app> <port>

The visitor is a thread of the same process.
"""

import os
import signal
import sys
import threading
import time
import traceback
import urllib.request
from contextlib import suppress
from pathlib import Path


def wait_for_the_server(port: str) -> None:
    for _ in range(1200):
        with suppress(OSError):
            urllib.request.urlopen(f"http://127.0.0.1:{port}/_stcore/health").close()
            return
        time.sleep(0.1)
    raise TimeoutError


def visit(folder: str, port: str) -> None:
    try:
        wait_for_the_server(port)
        from streamlit.testing.v1 import AppTest

        for page, language in (("gradients", "ko"), ("step", "en")):
            view = AppTest.from_file(str(Path(folder, "app.py")), default_timeout=300)
            view.query_params["language"] = language
            view.switch_page(f"pages/{page}.py").run()
            problems = [*view.exception, *view.error, *view.warning]
            print(page, [problem.value for problem in problems], flush=True)
    except BaseException:
        traceback.print_exc()
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    own, free = sys.argv[1:]
    sys.path.insert(0, own)
    threading.Thread(target=visit, args=(own, free), daemon=True).start()
    from rnnviz.ui.serve import main

    sys.argv = ["rnnviz", "--server.port", free]
    main()
