"""One local decision, from the bare hash to the whole record, beside the growthbook SDK.

Run it as ``python tests/benchmarks/bench_decisions.py [--decisions N]``. The SDK's row is its
assignment alone: it has no policy, no propensity and no record.
"""

from __future__ import annotations

import argparse
import tempfile
from datetime import UTC, datetime
from pathlib import Path

import growthbook
import msgspec
import numpy as np
import xxhash
from bench_service import PRODUCTS, make_workspace
from ratio_table import Row, measure, print_ratios

from abplatform.domain.assignment import assign
from abplatform.traffic.config import build_config
from abplatform.traffic.decisions import Request, RequestContext, decide, new_decision_id
from abplatform.workspace import open_workspace


def run_growthbook(units: list[str]) -> None:
    experiment = growthbook.Experiment(key="lamps", variations=["base", "gen"], hashVersion=2)
    evaluator = growthbook.GrowthBook()
    for unit in units:
        evaluator.set_attributes({"id": unit, "country": "DE"})
        evaluator.run(experiment)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--decisions", type=int, default=20_000)
    count = parser.parse_args().decisions
    rng = np.random.default_rng(20261123)
    units = [f"user-{number}" for number in rng.integers(1_000_000, size=count)]
    products = [f"p{number}" for number in rng.integers(PRODUCTS, size=count)]
    requests = [
        Request(
            unit_id=unit,
            experiment="lamps",
            context=RequestContext(product_ids=[product], country="DE", placement="feed-3"),
        )
        for unit, product in zip(units, products, strict=True)
    ]
    bodies = [msgspec.json.encode(request) for request in requests]
    with tempfile.TemporaryDirectory() as folder:
        make_workspace(Path(folder))
        config = build_config(open_workspace(Path(folder)))
    plan, at, encoder = config.experiments["lamps"].plan, datetime.now(UTC), msgspec.json.Encoder()
    ids = [new_decision_id(at) for _ in units]
    decoder = msgspec.json.Decoder(Request)

    def on_the_wire() -> None:
        for body in bodies:
            name = new_decision_id(at)
            encoder.encode(decide(config, decoder.decode(body), decision_id=name, at=at))

    times = measure(
        {
            "hash": lambda: [xxhash.xxh3_64_intdigest(unit.encode(), 7) for unit in units],
            "assign": lambda: [assign(plan, unit, {"country": "DE"}) for unit in units],
            "decide": lambda: [
                decide(config, request, decision_id=name, at=at)
                for request, name in zip(requests, ids, strict=True)
            ],
            "wire": on_the_wire,
            "growthbook": lambda: run_growthbook(units),
        },
        items=count,
        rounds=5,
    )
    print_ratios(
        f"{count:,} decisions, one at a time",
        [
            Row("bare hash (floor)", times["hash"] / 1000, "xxhash"),
            Row("assign", times["assign"] / 1000, "variant and reason"),
            Row("decide", times["decide"] / 1000, "with policy, floor, two draws and the record"),
            Row("decide, JSON to JSON", times["wire"] / 1000, "with parsing, an id and the event"),
            Row("growthbook SDK (peer)", times["growthbook"] / 1000, "assignment alone"),
        ],
        floor="bare hash (floor)",
        peer="growthbook SDK (peer)",
        unit="µs each",
    )


if __name__ == "__main__":
    main()
