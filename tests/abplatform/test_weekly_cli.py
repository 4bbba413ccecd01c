import json

import pytest
from click.testing import CliRunner

from abplatform.cli.demo_world import NEXT_WEEK, WEEKS, demo_keys, write_world
from abplatform.cli.main import abp

WATCHED = {
    "generate",
    "register",
    "serve",
    "ingest",
    "analyse",
    "decide",
    "pairs",
    "retrain",
    "gate",
    "promote",
    "publish",
}


def call(root, *words):
    return CliRunner().invoke(abp, ["weekly", *words, "-w", str(root)], catch_exceptions=False)


@pytest.mark.slow
def test_weekly_runs_a_simulated_turn_of_real_parts_and_tells_each_step(tmp_path):
    """One call draws, simulates, decides and trains; the second says that all was done before."""
    write_world(tmp_path, products=2, per_product=1, seed=1)
    words = (WEEKS[0], "--traffic", "simulated", "--seed", "1", "--impressions", "6000")
    first = call(tmp_path, *words)
    assert first.exit_code == 0, first.output
    told = first.output.splitlines()
    assert {line.split()[0] for line in told[1:]} == WATCHED
    assert "no newer held-out week" in first.output
    again = call(tmp_path, *words, "--json")
    turn = json.loads(again.stdout)
    assert turn["status"] == "done"
    assert all(step["resumed"] for step in turn["steps"])
    results = {step["step"]: step["result"] for step in turn["steps"]}
    assert set(results["analyse"]["scorecards"]) == set(demo_keys(WEEKS[0]).values())
    assert results["pairs"]["pairs"] == 2


def test_landed_traffic_says_when_the_week_is_final(tmp_path):
    """With no catalogue and nothing landed, a future week waits and says until when."""
    (tmp_path / "abp.yaml").write_text("")
    (tmp_path / "experiments").mkdir()
    part = "2199w01"
    (tmp_path / "experiments" / "x.yaml").write_text(
        f"key: prices-{part}\n"
        "variants: {a: {control: true, weight: 50}, b: {weight: 50}}\n"
        "metrics: {primary: ctr}\n"
    )
    waiting = call(tmp_path, "2199-W01")
    assert waiting.exit_code == 0, waiting.output
    assert "becomes final on 2199-01-11 00:00 UTC" in waiting.output
    assert "decide" not in waiting.output


@pytest.mark.parametrize("week", ["2026-W60", "48", NEXT_WEEK])
def test_a_week_that_cannot_be_run_is_one_clear_error(tmp_path, week):
    """A wrong week, or one without experiments, fails with one sentence."""
    from abplatform.errors import AbplatformError

    (tmp_path / "abp.yaml").write_text("")
    with pytest.raises(AbplatformError, match=r"no ISO week|no experiment runs"):
        call(tmp_path, week)
