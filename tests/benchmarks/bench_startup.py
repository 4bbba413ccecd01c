"""CPU seconds until abplatform is imported and ``abp --help`` has answered, and what got loaded.

Run it as ``python tests/benchmarks/bench_startup.py``.
"""

from __future__ import annotations

import json
import resource
import statistics
import subprocess
import sys

from ratio_table import Row, print_ratios

HEAVY = ("torch", "transformers", "diffusers", "pandas", "statsmodels", "streamlit", "polars")
HELP = "import sys; sys.argv = ['abp', '--help']; from abplatform.cli.main import main; main()"
PROGRAMS = {
    "python (floor)": "pass",
    "import abplatform": "import abplatform",
    "abp --help": HELP,
    "abp assign --help": HELP.replace("'--help'", "'assign', '--help'"),
    "import pandas (peer)": "import pandas",
}


def cpu_milliseconds(program: str) -> float:
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, "-c", program], stdout=subprocess.DEVNULL, check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return 1e3 * (after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime)


def loaded(program: str) -> list[str]:
    code = (
        "import atexit, json, sys\n"
        f"atexit.register(lambda: print(json.dumps([m for m in {HEAVY!r} if m in sys.modules]),"
        " file=sys.stderr))\n" + program
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    names: list[str] = json.loads(done.stderr)
    return names


def main() -> None:
    times: dict[str, list[float]] = {name: [] for name in PROGRAMS}
    for _ in range(7):
        for name, program in PROGRAMS.items():
            times[name].append(cpu_milliseconds(program))
    rows = [
        Row(name, statistics.median(times[name]), f"loads {', '.join(loaded(program)) or 'none'}")
        for name, program in PROGRAMS.items()
    ]
    print_ratios(
        f"start-up; heavy means one of {', '.join(HEAVY)}",
        rows,
        floor="python (floor)",
        peer="import pandas (peer)",
        unit="CPU ms",
    )


if __name__ == "__main__":
    main()
