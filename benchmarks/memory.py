"""Peak memory of a trace with gradients against the bytes of its own arrays (Linux).

Each size runs in its own process, after a small trace has loaded all code. The peak is the largest
increase of the process's resident memory during the trace.
"""

import subprocess
import sys
from pathlib import Path

SIZES = (
    ("LSTM", 1000, 64, 1),
    ("LSTM", 1000, 64, 32),
    ("LSTM", 1000, 256, 32),
    ("GRU", 1000, 256, 32),
    ("RNN", 1000, 256, 32),
)


def resident(field: str) -> int:
    """Bytes of VmRSS (now) or VmHWM (the peak since the last reset)."""
    status = Path("/proc/self/status").read_text(encoding="ascii")
    line = next(line for line in status.splitlines() if line.startswith(field))
    return 1024 * int(line.split()[1])


def peak(kind: str, steps: int, hidden: int, batch: int) -> None:
    """Prints the peak and the arrays' bytes of one trace."""
    import torch

    import rnnviz

    module = getattr(torch.nn, kind)(hidden, hidden)
    x = torch.randn(steps, batch, hidden)
    rnnviz.trace(module, x[:2, :2], loss="all")
    before = resident("VmRSS")
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    trace = rnnviz.trace(module, x, loss="all")
    increase = resident("VmHWM") - before
    print(f"{increase} {trace.nbytes}")


def main() -> None:
    """Prints the table."""
    print("Peak memory of a trace with gradients\n")
    print("| cell | T | H | batch | arrays (MB) | peak (MB) | peak / arrays |")
    print("|---|---|---|---|---|---|---|")
    for size in SIZES:
        arguments = [sys.executable, "-m", "benchmarks.memory", *map(str, size)]
        found = subprocess.run(arguments, check=True, capture_output=True, text=True)
        increase, own = map(int, found.stdout.split())
        kind, steps, hidden, batch = size
        print(
            f"| {kind} | {steps:,} | {hidden} | {batch} |"
            f" {own / 1e6:.0f} | {increase / 1e6:.0f} | {increase / own:.2f} |"
        )


if __name__ == "__main__":
    if len(sys.argv) > 1:
        peak(sys.argv[1], *map(int, sys.argv[2:]))
    else:
        main()
