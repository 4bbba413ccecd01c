import io
import json

import polars as pl
import pytest
from click.testing import CliRunner
from rich.console import Console

from abplatform.cli.demo import DemoSizes, run_demo
from abplatform.cli.demo_facts import category_rows
from abplatform.cli.demo_world import demo_keys, write_world
from abplatform.cli.main import abp
from abplatform.cli.peeking import Shipped, compare_shipping, peek_daily
from abplatform.domain.spec import read_experiments
from abplatform.errors import WorkspaceError

SMALL = DemoSizes(products=4, per_product=2, impressions=12_000, bots=4, epochs=2)


def tell(out, seed=7):
    text = io.StringIO()
    summary = run_demo(out, seed=seed, sizes=SMALL, console=Console(file=text, width=110))
    return summary, text.getvalue()


@pytest.mark.slow
def test_the_demo_tells_its_eight_points_and_leaves_a_workspace(tmp_path):
    """The whole platform end to end on a tiny world, and a second call that only tells it again."""
    out = tmp_path / "demo"
    summary, told = tell(out)
    for number in range(1, 9):
        assert f"({number})" in told
    assert {path.name for path in tmp_path.iterdir()} == {"demo"}
    for name in ("report.html", "creatives.png", "abp.yaml", "data/published/CURRENT.json"):
        assert (out / name).is_file()
    faults = {fault["what"]: fault for fault in summary["faults"]}
    for name in ("bot swarm", "events delivered twice", "clicks without impression"):
        assert faults[name]["ok"], faults[name]
    assert faults["picture of another product"]["ok"]
    assert summary["contest"]["platform"]["comparisons"] == 24
    first = summary["weeks"]["2026-W36"]
    assert first["reward"]["reasons"] == ["no newer held-out week"]
    assert summary["weeks"]["2026-W37"]["reward"]["metrics"]["trained_on"] == ["2026-W36"]
    totals = first["receipt"]
    assert totals["received"] == sum(totals[kind] for kind in totals if kind != "received")
    page = (out / "report.html").read_text()
    assert page.count("<html") == 1
    assert "http" not in page.replace("http://www.w3.org", "")

    before = {path: path.stat().st_mtime_ns for path in out.rglob("*") if path.is_file()}
    again, _ = tell(out)
    assert {**again, "seconds": 0} == {**summary, "seconds": 0}
    after = {path: path.stat().st_mtime_ns for path in out.rglob("*") if path.is_file()}
    assert {path for path in after if after[path] != before.get(path)} <= {
        out / "data" / "runs" / ".lock",
        out / "data" / ".lock",
    }
    runner = CliRunner()
    assert runner.invoke(abp, ["validate", str(out / "experiments")]).exit_code == 0
    key = demo_keys("2026-W37")["creatives"]
    shown = runner.invoke(abp, ["analyze", key, "-w", str(out), "--json"])
    kept = json.loads((out / "data/runs/2026-W37/analyse" / f"{key}.json").read_text())
    assert json.loads(shown.stdout)["lifts"] == kept["lifts"]
    with pytest.raises(WorkspaceError, match="made otherwise"):
        tell(out, seed=8)


def test_the_demo_takes_no_folder_that_holds_something_else(tmp_path):
    """A folder with other things in it is refused and left alone."""
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(WorkspaceError, match="holds no demo"):
        tell(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


def test_the_demos_yaml_is_valid_and_stays_as_edited(tmp_path):
    """The YAML that the demo writes is valid, and a second call keeps what people changed."""
    (tmp_path / "catalog").mkdir()
    (tmp_path / "catalog" / "products.csv").write_text("")
    assert write_world(tmp_path, products=1, per_product=3, seed=1)
    found = read_experiments(tmp_path / "experiments")
    assert {one.analysis.test for one in found.values()} == {"sequential"}
    assert len(found) == 7
    path = tmp_path / "experiments" / f"{demo_keys('2026-W38')['creatives']}.yaml"
    path.write_text(path.read_text().replace("mde: 3%", "mde: 4%"))
    assert write_world(tmp_path, products=1, per_product=3, seed=1) == []
    assert "mde: 4%" in path.read_text()


def test_peeking_ships_at_the_first_good_looking_day():
    """A lift that looks good on one day only is shipped by peeking, whatever the end shows."""
    rows = [
        ("x", "a", "toys", 1, 1000, 20),
        ("x", "b", "toys", 1, 1000, 40),
        ("x", "a", "toys", 2, 1000, 40),
        ("x", "b", "toys", 2, 1000, 20),
        ("x", "a", "home", 1, 1000, 30),
        ("x", "b", "home", 1, 1000, 31),
        ("x", "b", "food", 1, 0, 0),
        ("x", "a", "food", 1, 1000, 0),
    ]
    columns = ["experiment", "variant", "category", "day", "impressions", "clicks"]
    daily = pl.DataFrame(rows, schema=columns, orient="row")
    shipped = peek_daily(daily, {"x": "a"})
    assert shipped == {("x", "b", "toys")}
    truth = [
        {"experiment": "x", "treatment": "b", "category": None, "lift": 0.0},
        {"experiment": "x", "treatment": "b", "category": "toys", "lift": 0.0},
        {"experiment": "x", "treatment": "b", "category": "home", "lift": 0.1},
    ]
    assert compare_shipping(shipped, truth) == Shipped(2, 1, 1, 1)


def test_rows_stand_beside_their_truth():
    """Each category's estimate is paired with its own true lift and verdict, the total first."""
    lift = {"metric": "ctr", "treatment": "b", "ci_low": -0.1, "ci_high": 0.2}
    card = {
        "experiment": "x",
        "lifts": [
            {**lift, "category": None, "breakdown": None},
            {**lift, "category": "toys", "breakdown": "category"},
            {**lift, "category": None, "breakdown": "bots"},
        ],
        "verdict": {
            "verdict": "continue",
            "by_category": [{"category": "toys", "treatment": "b", "verdict": "ship"}],
        },
    }
    truth = [
        {"experiment": "x", "treatment": "b", "category": "toys", "lift": 0.3},
        {"experiment": "x", "treatment": "b", "category": None, "lift": 0.1},
        {"experiment": "y", "treatment": "b", "category": None, "lift": 9.0},
    ]
    rows = category_rows(card, truth)
    assert [(row.category, row.true_lift, row.verdict, row.covered) for row in rows] == [
        (None, 0.1, "continue", True),
        ("toys", 0.3, "ship", False),
    ]
