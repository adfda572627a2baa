"""Runs all benchmarks of the library and prints them as tables: ``make bench``."""

import platform

import torch

from benchmarks import (
    compare_time,
    equations_time,
    gradient_time,
    import_time,
    memory,
    own_cell_time,
    trace_time,
)


def main() -> None:
    """Prints the versions and the machine, then each table."""
    print(
        f"Python {platform.python_version()}, torch {torch.__version__},"
        f" {torch.get_num_threads()} threads, {platform.machine()}\n"
    )
    parts = trace_time, equations_time, gradient_time, own_cell_time
    for part in (*parts, import_time, memory, compare_time):
        part.main()
        print()


if __name__ == "__main__":
    main()
