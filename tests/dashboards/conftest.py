"""A workspace as after some weeks of experiments: pictures, published tables, all states."""

import hashlib
import io
import json
import math
import sys
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from PIL import Image, ImageDraw, ImageFilter
from streamlit.testing.v1 import AppTest

import dashboards
from abplatform.logs.store.published import TABLES, publish_tables, read_published

APP = Path(dashboards.__file__).with_name("app.py")
NOW = datetime(2026, 11, 30, 9, 0, tzinfo=UTC)
STARTED = datetime(2026, 11, 16, tzinfo=UTC)

PRODUCTS = [
    ("lip-tint", "Velvet lip tint", "beauty/lip", "#c2334d"),
    ("serum", "Night serum <b>30 ml</b>", "beauty/skin", "#d9a441"),
    ("mug", "Stoneware mug", "home/kitchen", "#5b7f95"),
    ("lamp", "Paper lamp", "home/light", "#e3c16f"),
    ("headphones", "Quiet headphones", "audio", "#3b3f46"),
    ("backpack", "Canvas backpack", "travel", "#6b7f4e"),
]
BACKDROPS = ["#f4e8dc", "#cfe3e6", "#e9d9ec"]

# category: clicks and impressions of control and treatment
COUNTS = {
    None: (5321, 260400, 5894, 259800),
    "audio": (612, 43100, 640, 43050),
    "beauty/lip": (1490, 43400, 1742, 43300),
    "beauty/skin": (1122, 43500, 1290, 43200),
    "home/kitchen": (801, 43400, 795, 43350),
    "home/light": (734, 43600, 868, 43500),
    "travel": (562, 43400, 559, 43400),
}


@pytest.fixture(autouse=True)
def own_main():
    """AppTest puts the app in ``__main__``'s place, where spawned processes would run it again."""
    main = sys.modules["__main__"]
    yield
    sys.modules["__main__"] = main


@pytest.fixture(scope="session")
def example(tmp_path_factory):
    """Make the workspace once for all tests; pages only read it."""
    root = tmp_path_factory.mktemp("example")
    write_example(root)
    return root


@pytest.fixture(scope="session")
def published(example):
    """Return what the example has published."""
    return read_published(example / "data" / "published")


@pytest.fixture
def now():
    """Return when the example was published."""
    return NOW


@pytest.fixture
def table_of():
    """Return the maker of a published table from rows."""
    return rows


@pytest.fixture
def publish(tmp_path):
    """Return a function that publishes tables into a fresh workspace and returns its folder."""

    def write(**tables):
        (tmp_path / "abp.yaml").touch()
        publish_tables(tmp_path / "data" / "published", tables, clock=lambda: NOW)
        return tmp_path

    return write


@pytest.fixture
def open_page(monkeypatch):
    """Return a function that runs one page of the app on a workspace."""

    def run(root, page=None, **query):
        monkeypatch.setenv("ABP_WORKSPACE", str(root))
        app = AppTest.from_file(str(APP), default_timeout=30).run()
        if page is not None:
            app.switch_page(page)
        app.query_params.update(query)
        return app.run()

    return run


@pytest.fixture
def html():
    """Return the function that joins everything a page shows as HTML."""
    return lambda app: "\n".join(element.body for element in app.html)


def write_example(root):
    """Write abp.yaml, pictures and published tables; return the published tables."""
    (root / "abp.yaml").write_text("time_zone: Europe/Paris\n")
    creatives = make_creatives(root)
    tables = {
        "experiments": make_experiments(),
        "scorecards": make_scorecards(creatives),
        "lifts": make_lifts(),
        "daily": make_daily(),
        "health": make_health(),
        "creatives": creatives,
        "pairs": make_pairs(creatives),
    }
    publish_tables(root / "data" / "published", tables, clock=lambda: NOW)
    return tables


def rows(name, dicts):
    """Make a published table from rows; what a row leaves out is null."""
    return pl.DataFrame(
        [{column: row.get(column) for column in TABLES[name]} for row in dicts],
        schema=TABLES[name],
    )


def make_experiments():
    common = {
        "owner": "growth-beauty",
        "layer": "feed-creative",
        "unit": "user_id",
        "assignment": "platform",
        "primary_metric": "ctr",
        "primary_direction": "increase",
        "variants": ["baseline", "generated"],
        "control": "baseline",
        "spec_sha256": "ab" * 32,
    }
    changes = [
        {
            "key": "beauty-generated-2026w47",
            "hypothesis": "Generated backgrounds raise CTR by at least 3 %.",
            "state": "decided",
            "verdict": "ship",
            "started_at": STARTED,
            "ended_at": STARTED + timedelta(days=7),
        },
        {
            "key": "warm-light-2026w48",
            "hypothesis": "Warm light beats cold light and the plain studio.",
            "state": "running",
            "variants": ["studio", "warm", "cold"],
            "control": "studio",
            "started_at": STARTED + timedelta(days=7),
        },
        {
            "key": "audio-scenes-2026w46",
            "state": "stopped",
            "owner": None,
            "verdict": "invalid",
            "started_at": STARTED - timedelta(days=7),
            "ended_at": STARTED,
        },
        {"key": "props-2026w49", "state": "draft", "hypothesis": "Props help."},
    ]
    return rows("experiments", [common | change for change in changes])


def make_scorecards(creatives):
    common = {"as_of": NOW - timedelta(hours=6), "data_version": "3f9a1c77d0e2"}
    return rows(
        "scorecards",
        [
            common
            | {
                "experiment": "beauty-generated-2026w47",
                "status": "final",
                "units": 96012,
                "verdict": "ship",
                "sentence": "Generated creatives win: CTR is 11.0% higher than with baselines.",
                "reasons": ["ctr wins over all categories", "guardrails hold"],
                "srm_verdict": "ok",
                "srm_p_value": 0.61,
                "warnings": ["mixed_units: 12 units were seen in two variants and are left out"],
                "scorecard": json.dumps(make_detail(creatives)),
            },
            common
            | {
                "experiment": "warm-light-2026w48",
                "status": "provisional",
                "units": 1204,
                "verdict": "continue",
                "sentence": "Too early to tell: the experiment needs five more days.",
                "reasons": ["min_runtime has not passed"],
                "srm_verdict": "ok",
                "srm_p_value": 0.2,
                "warnings": [],
            },
            common
            | {
                "experiment": "audio-scenes-2026w46",
                "status": "final",
                "units": 51800,
                "verdict": "invalid",
                "sentence": "The split is broken: no verdict can be trusted.",
                "reasons": ["srm"],
                "srm_verdict": "alarm",
                "srm_p_value": 3e-9,
                "warnings": ["bots: 31 units flagged as bots are left out"],
            },
        ],
    )


def make_detail(creatives):
    """Make the parts of the analyze object that only its JSON holds."""
    by_category = [
        {
            "category": category,
            "treatment": "generated",
            "verdict": "ship" if category.startswith("beauty") else "continue",
            "reason": f"ctr in {category}: see its interval",
        }
        for category in COUNTS
        if category
    ]
    by_creative = [
        {
            "variant": row["variant"],
            "creative_id": row["creative_id"],
            "verdict": "better" if row["impressions"] else "unclear",
            "p_win": 0.99 if row["impressions"] else 0.5,
            "p_win_explored": 0.91 if row["impressions"] else None,
        }
        for row in creatives.filter(source="generated").to_dicts()
    ]
    return {
        "srm": {
            "observed": {"baseline": 48046, "generated": 47966},
            "expected": {"baseline": 48006.0, "generated": 48006.0},
        },
        "warnings": [
            {"code": "mixed_units", "message": "12 units were seen in two variants"},
            {"code": "not_applicable", "message": "null in every lift: shrunken_lift"},
        ],
        "verdict": {"by_category": by_category, "by_creative": by_creative},
    }


def make_lift(experiment, category, counts, **changes):
    k_control, n_control, k_treatment, n_treatment = counts
    ratio = k_treatment / n_treatment / (k_control / n_control)
    spread = 1.2 * math.sqrt(1 / k_control + 1 / k_treatment)
    z = math.log(ratio) / spread
    p_value = math.erfc(abs(z) / math.sqrt(2))
    return {
        "experiment": experiment,
        "metric": "ctr",
        "category": category,
        "breakdown": "category" if category else None,
        "control": "baseline",
        "treatment": "generated",
        "units_control": n_control // 3,
        "units_treatment": n_treatment // 3,
        "n_control": n_control,
        "n_treatment": n_treatment,
        "k_control": k_control,
        "k_treatment": k_treatment,
        "rate_control": k_control / n_control,
        "rate_treatment": k_treatment / n_treatment,
        "absolute_lift": k_treatment / n_treatment - k_control / n_control,
        "relative_lift": ratio - 1,
        "ci_low": ratio * math.exp(-1.96 * spread) - 1,
        "ci_high": ratio * math.exp(1.96 * spread) - 1,
        "p_value": p_value,
        "log10_p": math.log10(p_value),
        "p_adjusted": min(1.0, 2 * p_value) if category else None,
        "significant": p_value < 0.02,
    } | changes


def make_lifts():
    shipped = [
        make_lift("beauty-generated-2026w47", category, counts)
        for category, counts in COUNTS.items()
    ]
    nothing = dict.fromkeys(
        [
            *("rate_control", "rate_treatment", "absolute_lift", "relative_lift"),
            *("ci_low", "ci_high", "p_value"),
        ]
    )
    shipped.append(
        make_lift("beauty-generated-2026w47", "toys", (1, 9, 1, 9))
        | nothing
        | {"k_control": 0, "log10_p": None, "p_adjusted": None, "significant": None}
        | {"undetermined": "no_traffic: a rate needs at least two units and a denominator"}
    )
    shipped.append(
        make_lift("beauty-generated-2026w47", None, (401, 5321, 450, 5894), metric="cvr")
    )
    early = [
        make_lift(
            "warm-light-2026w48",
            None,
            (40, 1800, clicks, 1790),
            control="studio",
            treatment=treatment,
            significant=False,
            ci_high=None,
        )
        for treatment, clicks in (("warm", 47), ("cold", 38))
    ]
    broken = [make_lift("audio-scenes-2026w46", None, (900, 60000, 990, 51000))]
    for lift in (made := shipped + early + broken):
        adjusted = lift["p_adjusted"]
        lift["low_shown"], lift["high_shown"] = lift["ci_low"], lift["ci_high"]
        lift["p_shown"] = lift["p_value"] if adjusted is None else adjusted
    return rows("lifts", made)


def make_daily():
    rng = np.random.default_rng(7)
    return rows(
        "daily",
        [
            {
                "experiment": "beauty-generated-2026w47",
                "variant": variant,
                "day": date(2026, 11, 16) + timedelta(days=day),
                "units": 13000,
                "impressions": 37000,
                "clicks": int(rng.poisson(37000 * ctr)),
                "conversions": 60,
            }
            for day in range(7)
            for variant, ctr in (("baseline", 0.0204), ("generated", 0.0227))
        ],
    )


def make_health():
    common = {"segments": 14, "superseded": 0, "forgotten": 0}
    return rows(
        "health",
        [
            common
            | {
                "source": "feed",
                "watermark": NOW - timedelta(hours=2),
                "received": 541234,
                "accepted": 532100,
                "quarantined": 1134,
                "duplicate": 8000,
                "reasons": json.dumps({"naive_timestamp": 134, "unknown_variant": 1000}),
            },
            common
            | {
                "source": "partner <ads>",
                "watermark": NOW - timedelta(days=5),
                "received": 2000,
                "accepted": 1800,
                "quarantined": 190,
                "duplicate": 0,
                "reasons": json.dumps({"missing_field": 190}),
            },
        ],
    )


def draw(colour, backdrop, seed):
    """Draw a bottle-like product on a scene."""
    rng = np.random.default_rng(seed)
    image = Image.new("RGB", (320, 320), backdrop)
    pen = ImageDraw.Draw(image)
    if backdrop != "#ffffff":
        pen.rectangle((0, 220, 320, 320), fill="#b79b7c")
        for _ in range(5):
            x, y = rng.integers(0, 320, 2)
            pen.ellipse((x, y // 2, x + 70, y // 2 + 70), fill="#fff7ea")
        image = image.filter(ImageFilter.GaussianBlur(7))
        pen = ImageDraw.Draw(image)
    pen.ellipse((95, 245, 225, 275), fill="#00000030")
    pen.rounded_rectangle((110, 90, 210, 262), 24, fill=colour)
    pen.rectangle((135, 60, 185, 95), fill="#2b2b2b")
    buffer = io.BytesIO()
    image.save(buffer, "WEBP", lossless=True)
    return buffer.getvalue()


def make_creatives(root):
    folder = root / "data" / "creatives"
    folder.mkdir(parents=True)
    made = []
    for number, (product_id, title, category, colour) in enumerate(PRODUCTS):
        for take, backdrop in enumerate(["#ffffff", *BACKDROPS[:2]]):
            content = draw(colour, backdrop, number * 10 + take)
            creative_id = hashlib.sha256(content).hexdigest()
            (folder / f"{creative_id}.webp").write_bytes(content)
            source = "generated" if take else "baseline"
            clicks, impressions = 700 + 40 * take + 11 * number, 43000 // (1 + bool(take))
            ctr = clicks / impressions
            lineage = {
                "creative_id": creative_id,
                "image_sha256": "cd" * 32,
                "prompt": f"{title} on a wooden table, soft morning light" if take else "",
                "scene": {"surface": "oak", "light": "morning"} if take else {},
                "seed": number * 10 + take,
                "renderer": "studio/1" if take else "baseline/1",
                "checkpoints": {"reward": "ef" * 32} if take else {},
                "inspector": {"usable": True, "match": True, "scores": {"contrast": 0.83}},
                "week": "2026-W47",
            }
            made.append(
                {
                    "experiment": "beauty-generated-2026w47",
                    "variant": source,
                    "creative_id": creative_id,
                    "product_id": product_id,
                    "title": title,
                    "category": category,
                    "source": source,
                    "impressions": impressions,
                    "clicks": clicks,
                    "units": impressions // 3,
                    "ctr": ctr,
                    "ctr_low": ctr * 0.93,
                    "ctr_high": ctr * 1.07,
                    "predicted": None if number == 5 else 0.02 * number - 0.1 * take * (number - 1),
                    "review": "approved",
                    "picture": f"data/creatives/{creative_id}.webp",
                    "lineage": json.dumps(lineage),
                }
            )
    made[-1] |= {"ctr": None, "ctr_low": None, "ctr_high": None, "impressions": 0, "clicks": 0}
    made[-2] |= {"picture": "data/creatives/gone.webp"}
    made[-3] |= {"picture": "../../../etc/hostname", "lineage": None}
    return rows("creatives", made)


def make_pairs(creatives):
    pairs = []
    for product_id, title, category, _ in PRODUCTS[:5]:
        baseline, *generated = creatives.filter(product_id=product_id).to_dicts()
        for number, challenger in enumerate(generated):
            pairs.append(
                {
                    "pair_id": f"{product_id}-{number}",
                    "experiment": "beauty-generated-2026w47",
                    "week": "2026-W47",
                    "product_id": product_id,
                    "category": category,
                    "title": title,
                    "attributes": "{}",
                    "chosen_creative": challenger["creative_id"],
                    "rejected_creative": baseline["creative_id"],
                    "p_win": 0.97 - 0.05 * number,
                    "weight": 0.5,
                    "impressions_chosen": challenger["impressions"],
                    "clicks_chosen": challenger["clicks"],
                    "impressions_rejected": baseline["impressions"],
                    "clicks_rejected": baseline["clicks"],
                }
            )
    return rows("pairs", pairs)
