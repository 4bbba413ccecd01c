"""One choice within a variant by each policy, remembered and new, beside a bare dictionary look-up.

Run it as ``python tests/benchmarks/bench_policies.py [--creatives K]``.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any

import numpy as np
from ratio_table import Row, measure, print_ratios

from abplatform.domain.experiment import Policy, PolicyRule
from abplatform.traffic.policies import choose, make_policy
from abplatform.traffic.policies.learning import Counted, learn

CONTEXT = {"category": "beauty/lip", "channel": "app", "country": "CN", "segment": "new"}
RULES = (PolicyRule({"country": ("NO",)}, {"surface": ("oak",)}),)
POLICIES = ("uniform", "thompson", "contextual", "reward", "rules")
TIMES = 2_000
SELDOM = 20


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--creatives", type=int, default=4)
    names = tuple(f"{number:064x}" for number in range(parser.parse_args().creatives))
    rng = np.random.default_rng(1)
    rows = [
        Counted(name, "beauty/lip", (channel, "CN", "new"), 2_000, int(rng.binomial(2_000, 0.02)))
        for name in names
        for channel in ("app", "web")
    ]
    snapshot = ("s", learn(rows, rewards=dict.fromkeys(names, 0.5)))
    answers = {names: (1 / len(names),) * len(names)}
    clicks = [40] * len(names)

    def make(name: str) -> Any:
        return make_policy(Policy(name, rules=RULES if name == "rules" else ()), snapshot, {})

    def ask(policy: Any) -> Callable[[], object]:
        return lambda: [policy.distribution(CONTEXT, names) for _ in range(TIMES)]

    def draw(policy: Any) -> Callable[[], object]:
        return lambda: [
            choose(policy, CONTEXT, names, floor=0.05, decision_id=str(number))
            for number in range(TIMES)
        ]

    often = measure(
        {
            "dictionary": lambda: [answers[names] for _ in range(TIMES)],
            "sampled": lambda: [rng.beta(clicks, 1_960).argmax() for _ in range(TIMES)],
            **{name: ask(make(name)) for name in POLICIES},
            "drawn": draw(make("thompson")),
        },
        items=TIMES,
    )
    new = measure(
        {
            name: lambda name=name: [make(name).distribution(CONTEXT, names) for _ in range(SELDOM)]
            for name in ("thompson", "contextual")
        },
        items=SELDOM,
    )
    print_ratios(
        f"which of {len(names)} creatives",
        [
            Row("a dictionary (floor)", often["dictionary"], "nothing is less"),
            Row("sampled Thompson (peer)", often["sampled"], "numpy; its propensity is unknown"),
            *(Row(name, often[name], "asked before in this snapshot") for name in POLICIES),
            Row("thompson, drawn", often["drawn"], "with floor, both draws and the mixture"),
            *(Row(f"{name}, first time", value, "once a snapshot") for name, value in new.items()),
        ],
        floor="a dictionary (floor)",
        peer="sampled Thompson (peer)",
        unit="ns a choice",
    )


if __name__ == "__main__":
    main()
