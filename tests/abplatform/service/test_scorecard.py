"""What the service records is what the store counts."""

import json
import os
import subprocess
import sys

ABP = [sys.executable, "-c", "from abplatform.cli.main import main; main()"]


def abp(shop, *words):
    """Run a verb and return its JSON."""
    command = [*ABP, *words, "--json"]
    env = {**os.environ, "ABP_WORKSPACE": str(shop.root)}
    made = subprocess.run(command, check=True, capture_output=True, text=True, env=env)
    return json.loads(made.stdout)


def test_decisions_impressions_and_clicks_reach_the_scorecard(shop, serve):
    """Every recorded event is accepted once, and the scorecard counts them by variant."""
    server = serve()
    answers = [server.decide(f"unit-{n}") for n in range(60)]
    for answer in answers:
        assert server.call(answer["impression_url"])[0] == 200
    for answer in answers[:12]:
        assert server.call(answer["impression_url"])[0] == 200  # a beacon that was fetched twice
        assert server.call(answer["click_url"])[0] == 204
        assert server.call(answer["click_url"])[0] == 409
    assert server.end() == 0
    receipt = abp(shop, "ingest")
    assert receipt["quarantined"] == 0, receipt
    assert (receipt["accepted"], receipt["duplicate"]) == (60 + 60 + 12, 12)
    card = abp(shop, "analyze", "lamps")
    assert card["units"] == 60
    observed = {name: variant_count(answers, name) for name in ("baseline", "generated")}
    assert card["srm"]["observed"] == observed
    assert "assignment_mismatch" not in {one["code"] for one in card["warnings"]}
    ctr = next(one for one in card["lifts"] if one["metric"] == "ctr" and one["category"] is None)
    assert ctr["n_control"] + ctr["n_treatment"] == 60
    assert ctr["k_control"] + ctr["k_treatment"] == 12


def variant_count(answers, variant):
    return sum(one["assignments"][0]["variant"] == variant for one in answers)
