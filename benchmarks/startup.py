"""`python -m benchmarks.startup [--rounds N]`: how long importing the package and asking for help take.

Each command runs in a process of its own, in rounds that alternate between the commands, beside an
interpreter that does nothing. Medians and ratios to that interpreter are printed; nothing is judged.
"""

import argparse
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

COMMANDS: Mapping[str, Sequence[str]] = {
    "python -c pass": (sys.executable, "-c", "pass"),
    "import remotereasoner": (sys.executable, "-c", "import remotereasoner"),
    "remotereasoner --help": (str(Path(sys.executable).with_name("remotereasoner")), "--help"),
}
"""What is timed; the first is what the others are divided by."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Print a line for each command."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.startup", description=__doc__)
    parser.add_argument("--rounds", type=int, default=7, help="runs of each command (7)")
    times = measure(parser.parse_args(arguments).rounds)
    print(f"load {os.getloadavg()[0]:.1f}")
    base = statistics.median(next(iter(times.values())))
    for name, seconds in times.items():
        middle = statistics.median(seconds)
        spread = f"{min(seconds):.3f} to {max(seconds):.3f}"
        print(f"{name:24} {middle:6.3f} s ({spread})  {middle / base:6.1f} x")


def measure(rounds: int) -> dict[str, list[float]]:
    """Seconds of every command, `rounds` times each, after one run of each that fills the caches."""
    for command in COMMANDS.values():
        seconds_of(command)
    times: dict[str, list[float]] = {name: [] for name in COMMANDS}
    for _ in range(rounds):
        for name, command in COMMANDS.items():
            times[name].append(seconds_of(command))
    return times


def seconds_of(command: Sequence[str]) -> float:
    """Wall time of one command in a new process.

    Raises:
        CalledProcessError: it fails.
    """
    began = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - began


if __name__ == "__main__":
    main()
