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
RULES = [
    "Each of `assignments` is one allocation; each of its `units` is a question and its answer.",
    "Ranges are [low, high): low is in, high is not.",
    "forced: unit to variant; while running, it comes first if the phase has the variant.",
    (
        "Else the first that excludes is the reason: holdout (bucket of holdout:global below "
        "floor(2^32 * holdout)), layer (bucket of layer:<layer> in no slot), targeting, ramp "
        "(bucket of ramp:<experiment> outside exposure), not_running."
    ),
    (
        "targeting: name to condition, all must admit; a unit without `context` is not judged by "
        "it. A list admits a text that equals an item or begins with it and a slash; {min, below} "
        "admits numbers with min <= x < below, null leaving a side open; true and false admit "
        "themselves. Nothing is converted: '30' and true are no numbers, 1 is not true, a missing "
        "name does not admit."
    ),
    (
        "Else the variant is the one whose ranges hold the bucket of experiment:<experiment>; "
        "`bucket` is that bucket, `layer_bucket` the one of layer:<layer>."
    ),
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


def admitted(condition, value):
    """Texts by prefix of a path, numbers by min <= x < below, truths as they are; no conversion."""
    if isinstance(condition, bool):
        return value is condition
    if isinstance(condition, list):
        return isinstance(value, str) and any(f"{value}/".startswith(f"{c}/") for c in condition)
    if type(value) not in {int, float}:
        return False
    low, high = condition["min"], condition["below"]
    return (low is None or low <= value) and (high is None or value < high)


def reason_of(case, unit, context):
    slot, ramp, held = (
        digest(unit, salt) // FULL for salt in ("layer:feed", "ramp:demo", "holdout:global")
    )
    phase = case["phase"]
    if case["running"] and case["forced"].get(unit) in phase["variants"]:
        return "forced"
    if held < FULL * round(case["holdout"] * 1000) // 1000:
        return "holdout"
    if not any(low <= slot < high for low, high in phase["slots"]):
        return "layer"
    wanted = {} if context is None else case["targeting"]
    if not all(admitted(wanted[name], context.get(name)) for name in wanted):
        return "targeting"
    if not phase["exposure"][0] <= ramp < phase["exposure"][1]:
        return "ramp"
    return "assigned" if case["running"] else "not_running"


def answers(case, contexts):
    for context in contexts:
        for number in range(12):
            unit = f"user-{number}"
            own, slot = (digest(unit, salt) // FULL for salt in ("experiment:demo", "layer:feed"))
            reason = reason_of(case, unit, context)
            variant = case["forced"][unit] if reason == "forced" else None
            if reason == "assigned":
                (variant,) = (
                    name
                    for name, ranges in case["phase"]["variants"].items()
                    if any(low <= own < high for low, high in ranges)
                )
            row = {"unit_id": unit, "variant": variant, "reason": reason}
            row |= {"bucket": own, "layer_bucket": slot}
            yield row if context is None else row | {"context": context}


def shared_out(weights):
    bounds = [FULL * sum(weights[:upto]) // sum(weights) for upto in range(len(weights) + 1)]
    return {f"v{i}": [[bounds[i], bounds[i + 1]]] for i in range(len(weights))}


def case(about, *, variants, contexts=(None,), **others):
    made = {
        "about": about,
        "experiment": "demo",
        "layer": "feed",
        "holdout": others.get("holdout_permille", 0) / 1000,
        "running": others.get("running", True),
        "targeting": others.get("targeting", {}),
        "forced": others.get("forced", {}),
        "phase": {
            "number": others.get("number", 1),
            "slots": others.get("slots", [[0, FULL]]),
            "exposure": [0, FULL * others.get("traffic_permille", 1000) // 1000],
            "variants": variants,
        },
    }
    return made | {"units": list(answers(made, contexts))}


def main():
    split = [[0, FULL // 8], [FULL // 2, FULL * 3 // 4]]
    halves = shared_out([50, 50])
    # 90/10 became 50/50: v0 gave up its high end, which v1 took; then v2 took from both.
    tenth = FULL * 9 // 10
    moved = {
        "v0": [[0, FULL // 4]],
        "v1": [[FULL // 2, FULL * 3 // 4], [tenth, FULL]],
        "v2": [[FULL // 4, FULL // 2], [FULL * 3 // 4, tenth]],
    }
    wanted = {
        "category": ["beauty", "fashion/shoes"],
        "age": {"min": 18, "below": 65},
        "premium": True,
        "tier": ["gold", "silver"],
    }
    known = {"category": "beauty/lip", "age": 18, "premium": True, "tier": "gold"}
    contexts = [
        None,
        known,
        known | {"category": "fashion/shoes", "age": 64.5},
        known | {"category": "fashion"},
        known | {"category": "beautyx"},
        known | {"age": 65},
        known | {"age": "30"},
        known | {"age": True},
        known | {"premium": 1},
        known | {"premium": "true"},
        known | {"tier": None},
        {name: value for name, value in known.items() if name != "tier"},
    ]
    all_at_once = {
        "variants": moved,
        "slots": split,
        "traffic_permille": 900,
        "holdout_permille": 100,
        "targeting": {"age": {"min": 18, "below": None}},
        "forced": {"user-2": "v2", "user-5": "gone"},
        "contexts": [known, known | {"age": 17}],
        "number": 4,
    }
    cases = [
        case("halves", variants=halves),
        case("thirds", variants=shared_out([1, 1, 1])),
        case("ramp", variants=shared_out([20, 80]), traffic_permille=300),
        case("slots", variants=halves, slots=split, traffic_permille=600, holdout_permille=200),
        case("holdout", variants=halves, holdout_permille=500),
        case("re-weighted", variants=moved, number=3),
        case("targeting", variants=halves, targeting=wanted, contexts=contexts),
        case("forced", variants=halves, traffic_permille=1, forced={"user-3": "v1"}),
        case("paused", variants=halves, running=False, forced={"user-3": "v1"}),
        case("all at once", **all_at_once),
    ]
    text = json.dumps(
        {
            "hash": "xxh3_64(utf8(unit_id), seed = xxh3_64(utf8(salt))); bucket = high 32 bits; "
            "unit_slice = xxh3_64(utf8(unit_id), seed = xxh3_64('slice')) mod 4096",
            "rules": RULES,
            "buckets": list(rows()),
            "assignments": cases,
        },
        ensure_ascii=True,
        indent=1,
    )
    Path(__file__).with_name("assignment.json").write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
