"""Measure error rates and write docs/error-rates.md.

    python tests/error_rates/run.py [--quick] [--only STUDY] [--again] [--out docs/error-rates.md]

Full counts by default. Each study keeps its result beside this file as soon as it is done, so that
a run that was stopped goes on where it stood; a study whose own files or statistics have changed is
measured again. ``--quick`` runs a tenth of the counts and keeps nothing.
"""

import argparse
import os
import sys
import time
from concurrent.futures import ProcessPoolExecutor, as_completed
from datetime import UTC, datetime
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before numpy: one thread a process

from kept import FOLDER, Result, digests, imported, read, write
from page import kept_results, render
from studies import STUDIES, Study

__all__ = ["main", "measure"]


def main(arguments: list[str] | None = None) -> int:
    """Run what is asked for and write the page; 1 if an aim is missed."""
    options = _options(arguments)
    folder = options.kept if not options.quick else None
    chosen = [study for study in STUDIES if not options.only or study.name in options.only]
    todo = [study for study in chosen if _is_due(study, options)]
    for study in chosen:
        if study not in todo:
            _say(f"{study.name}: kept")
    found = _run_all(todo, quick=options.quick, folder=folder, processes=options.processes)
    if options.quick:
        results, missing = [found[one.name] for one in STUDIES if one.name in found], []
    else:
        results, missing = kept_results(options.kept)
    if options.out:
        options.out.write_text(render(results, missing))
        _say(f"wrote {options.out}")
    return _report(results)


def measure(study: Study, *, quick: bool = False) -> Result | None:
    """Run one study; None where it cannot be run here."""
    runs = max(study.runs // 10, 100) if quick else study.runs
    start, sources = time.process_time(), digests()
    tables = study.measure(runs)
    if tables is None:
        return None
    import numpy as np
    import scipy

    return Result(
        study=study.name,
        runs=runs,
        date=datetime.now(UTC).date().isoformat(),
        seconds=round(time.process_time() - start, 1),
        versions={
            "Python": sys.version.split()[0],
            "numpy": np.__version__,
            "scipy": scipy.__version__,
        },
        sources=imported(sources),
        tables=tuple(tables),
    )


def _say(line: str) -> None:
    sys.stderr.write(line + "\n")
    sys.stderr.flush()


def _options(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    counts = parser.add_mutually_exclusive_group()
    counts.add_argument("--full", action="store_true", help="full counts (the default)")
    counts.add_argument("--quick", action="store_true", help="a tenth of the counts, not kept")
    names = [study.name for study in STUDIES]
    parser.add_argument("--only", action="append", choices=names, help="one study; repeatable")
    parser.add_argument("--again", action="store_true", help="measure also what is kept")
    parser.add_argument("--out", type=Path, help="where to write the page")
    parser.add_argument("--kept", type=Path, default=FOLDER, help="folder of the results")
    parser.add_argument("--processes", type=int, default=2)
    return parser.parse_args(arguments)


def _is_due(study: Study, options: argparse.Namespace) -> bool:
    kept = read(study.name, options.kept)
    return options.again or options.quick or kept is None or kept.stale or kept.runs != study.runs


def _run_all(
    todo: list[Study], *, quick: bool, folder: Path | None, processes: int
) -> dict[str, Result]:
    found = {}
    longest_first = sorted(todo, key=lambda study: -study.seconds)
    start = time.monotonic()
    # A process for each study: what it has imported is what it was made from.
    with ProcessPoolExecutor(processes, max_tasks_per_child=1) as pool:
        waiting = {pool.submit(_measure_named, one.name, quick): one for one in longest_first}
        for place, done in enumerate(as_completed(waiting), 1):
            study, result = waiting[done], done.result()
            since = f"[{place}/{len(todo)}, {time.monotonic() - start:.0f} s]"
            if result is None:
                _say(f"{since} {study.name}: skipped. {study.without}")
                continue
            found[study.name] = result
            if folder is not None:
                write(result, folder)
            _say(f"{since} {study.name}: {result.seconds:.0f} s")
    return found


def _measure_named(name: str, quick: bool) -> Result | None:  # noqa: FBT001 - called by a pool
    study = next(study for study in STUDIES if study.name == name)
    return measure(study, quick=quick)


def _report(results: list[Result]) -> int:
    missed = 0
    for result in results:
        for table in result.tables:
            for row in table.rows:
                if row.status == "FAIL":
                    missed += 1
                    values = ", ".join(f"{one.value}" for one in row.measured)
                    _say(f"FAIL {result.study}: {table.title}: {row.labels}: {values}")
    _say(f"{len(results)} studies, {missed} lines miss their aim")
    return 1 if missed else 0


if __name__ == "__main__":
    raise SystemExit(main())
