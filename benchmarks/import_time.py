"""``import rnnviz`` against ``import torch``, each in a fresh interpreter, interleaved."""

import subprocess
import sys
import time
from statistics import median

REPEATS = 9


def seconds(module: str) -> float:
    """Wall time of an interpreter that imports a module and exits."""
    start = time.perf_counter()
    subprocess.run([sys.executable, "-c", f"import {module}"], check=True)
    return time.perf_counter() - start


def main() -> None:
    """Prints both medians and their ratio."""
    pairs = [(seconds("torch"), seconds("rnnviz")) for _ in range(REPEATS + 1)][1:]
    torch, rnnviz = (median(times) for times in zip(*pairs, strict=True))
    print(f"import torch {torch:.2f} s, import rnnviz {rnnviz:.2f} s: {rnnviz / torch:.2f} ×")


if __name__ == "__main__":
    main()
