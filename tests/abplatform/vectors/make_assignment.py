"""Write assignment.json from the definition alone, without the platform's code.

Run it as ``python tests/abplatform/vectors/make_assignment.py``; the file is committed, and a
difference after a run means that the definition was changed.
"""

import json
import random
from pathlib import Path

import xxhash

FULL = 2**32
HAND = [
    ("", "experiment:demo"),
    ("a", "experiment:demo"),
    ("user-1", "experiment:demo"),
    ("user-1", "layer:feed"),
    ("user-1", "ramp:demo"),
    ("user-1", "holdout:global"),
    ("用户-1", "experiment:demo"),
    ("👩‍🔬", "experiment:demo"),
    ("e\u0301", "experiment:demo"),
    ("\u00e9", "experiment:demo"),
    ("nul\u0000inside", "experiment:demo"),
    ("x" * 241, "experiment:demo"),
]
ALPHABET = "abcdefghijklmnopqrstuvwxyz0123456789-_:/ äßçñ中日한😀"


def digest(unit_id, salt):
    return xxhash.xxh3_64_intdigest(unit_id.encode(), xxhash.xxh3_64_intdigest(salt.encode()))


def rows():
    rng = random.Random(20261122)
    generated = [
        (
            "".join(rng.choices(ALPHABET, k=rng.randint(1, 40))),
            rng.choice(["experiment:", "layer:", "ramp:"]) + rng.choice(["demo", "feed", "床"]),
        )
        for _ in range(200)
    ]
    for unit_id, salt in HAND + generated:
        yield {
            "unit_id": unit_id,
            "salt": salt,
            "bucket": digest(unit_id, salt) // FULL,
            "unit_slice": digest(unit_id, "slice") % 4096,
        }


def case(about, *, slots, traffic_permille, weights, holdout_permille):
    bounds = [FULL * sum(weights[:upto]) // sum(weights) for upto in range(len(weights) + 1)]
    exposure = FULL * traffic_permille // 1000
    holdout = FULL * holdout_permille // 1000
    units = []
    for number in range(12):
        unit = f"user-{number}"
        own, slot, ramp, held = (
            digest(unit, salt) // FULL
            for salt in ("experiment:demo", "layer:feed", "ramp:demo", "holdout:global")
        )
        reason = "assigned"
        if held < holdout:
            reason = "holdout"
        elif not any(low <= slot < high for low, high in slots):
            reason = "layer"
        elif ramp >= exposure:
            reason = "ramp"
        index = next(i for i in range(len(weights)) if bounds[i] <= own < bounds[i + 1])
        variant = f"v{index}" if reason == "assigned" else None
        row = {"unit_id": unit, "variant": variant, "reason": reason}
        units.append(row | {"bucket": own, "layer_bucket": slot})
    phase = {
        "number": 1,
        "slots": slots,
        "exposure": [0, exposure],
        "variants": {f"v{i}": [[bounds[i], bounds[i + 1]]] for i in range(len(weights))},
    }
    return {
        "about": about,
        "experiment": "demo",
        "layer": "feed",
        "holdout": holdout_permille / 1000,
        "phase": phase,
        "units": units,
    }


def main():
    whole = [[0, FULL]]
    split = [[0, FULL // 8], [FULL // 2, FULL * 3 // 4]]
    cases = [
        case("halves", slots=whole, traffic_permille=1000, weights=[50, 50], holdout_permille=0),
        case("thirds", slots=whole, traffic_permille=1000, weights=[1, 1, 1], holdout_permille=0),
        case("ramp", slots=whole, traffic_permille=300, weights=[20, 80], holdout_permille=0),
        case("slots", slots=split, traffic_permille=600, weights=[50, 50], holdout_permille=200),
    ]
    text = json.dumps(
        {
            "hash": "xxh3_64(utf8(unit_id), seed = xxh3_64(utf8(salt))); bucket = high 32 bits; "
            "unit_slice = xxh3_64(utf8(unit_id), seed = xxh3_64('slice')) mod 4096",
            "buckets": list(rows()),
            "assignments": cases,
        },
        ensure_ascii=True,
        indent=1,
    )
    Path(__file__).with_name("assignment.json").write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
