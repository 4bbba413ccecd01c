"""Faults planted at every stage are named by it, and end in one remedy."""

from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest

from abplatform.analysis.diagnosis import diagnose
from abplatform.analysis.scorecard.scope import Scope
from abplatform.analysis.scorecard.split import judge_split
from abplatform.analysis.scorecard.split_counts import read_split
from abplatform.domain.experiment import Phase, Variant

DAY = timedelta(days=1)
SOUND = (24_000, 12)
WRONG = (24_000, 6000)


@pytest.fixture
def units(start):
    """Return ``units(keep, share)``: 9,000 units of ten days, of which some are lost."""

    def drawn(keep=None, *, share=0.5, seed=8, count=9_000):
        draw = np.random.default_rng(seed)
        rows = []
        for number in range(count):
            row = {
                "variant": "generated" if draw.random() < share else "baseline",
                "unit_id": f"u{number}",
                "ts": start + float(draw.random()) * 10 * DAY,
                "source": ("app", "app", "web", "partner")[draw.integers(4)],
                "segment": ("fast device", "fast device", "slow device")[draw.integers(3)],
                "channel": ("feed", "search")[draw.integers(2)],
                "country": ("CN", "CN", "JP", "DE")[draw.integers(4)],
                "bot": bool(draw.random() < 0.02),
            }
            if keep is None or keep(row) or draw.random() < 0.5:
                rows.append(row)
        return rows

    return drawn


@pytest.fixture
def ask(show, make, run):
    """Return ``ask(rows, …)`` → the diagnosis of these exposures."""

    def asked(rows, *, mismatches=SOUND, may_restart=True, experiment=None, told=None):
        scope = Scope(experiment or make())
        with show(rows) as warehouse:
            split = read_split(warehouse, scope, told or run)
            check = judge_split(split, scope, told or run)
        return diagnose(split, check, mismatches=mismatches, may_restart=may_restart)

    return asked


def carried(diagnosis):
    return {(part.cut, part.name) for part in diagnosis.parts if part.carries}


def test_a_sound_split_has_nothing_to_diagnose(units, ask):
    """Units in the planned shares end in no stage and no remedy."""
    diagnosis = ask(units())
    assert (diagnosis.stage, diagnosis.remedy, diagnosis.parts) == (None, None, ())
    assert "nothing to diagnose" in diagnosis.sentence


def test_wrong_weights_at_assignment(units, ask):
    """Units dealt in wrong shares, away from the hash, are a fault of assignment: deal anew."""
    diagnosis = ask(units(share=0.45), mismatches=WRONG)
    assert (diagnosis.stage, diagnosis.remedy) == ("assignment", "restart")
    assert carried(diagnosis) == set()
    assert "6,000 of 24,000 (25.0%)" in diagnosis.sentence


def test_wrong_weights_elsewhere(units, ask):
    """Where another system dealt the units there is nothing to restart."""
    diagnosis = ask(units(share=0.45), mismatches=None, may_restart=False)
    assert (diagnosis.stage, diagnosis.remedy) == ("assignment", "do_not_use")


def test_a_variant_that_crashes(units, ask):
    """Units that vanish evenly while the others stand where the hash puts them: execution."""
    diagnosis = ask(units(lambda row: row["variant"] == "baseline"))
    assert (diagnosis.stage, diagnosis.remedy) == ("execution", "restart")
    assert carried(diagnosis) == set()


def test_one_source_loses_a_variant(units, ask):
    """A source without which the rest came as planned is logging's fault: exclude it."""
    diagnosis = ask(units(lambda row: (row["source"], row["variant"]) != ("web", "generated")))
    assert (diagnosis.stage, diagnosis.remedy) == ("logging", "exclude_source")
    assert diagnosis.source == "web"
    assert carried(diagnosis) == {("source", "web")}


def test_slow_devices_of_one_variant_are_lost(units, ask):
    """A segment where a variant's events get lost is logging's fault; what is lost stays lost."""
    lost = ("slow device", "generated")
    diagnosis = ask(units(lambda row: (row["segment"], row["variant"]) != lost))
    assert (diagnosis.stage, diagnosis.remedy) == ("logging", "do_not_use")
    assert carried(diagnosis) == {("segment", "slow device")}


@pytest.mark.parametrize(("column", "level"), [("channel", "search"), ("country", "JP")])
def test_a_channel_or_country_loses_a_variant(units, ask, column, level):
    """The same for channels and countries."""
    diagnosis = ask(units(lambda row: (row[column], row["variant"]) != (level, "generated")))
    assert diagnosis.stage == "logging"
    assert carried(diagnosis) == {(column, level)}


def test_an_outage_of_a_day(units, ask, start):
    """Days on which a variant was down are a fault of execution: begin again."""
    down = (start + 3 * DAY, start + 5 * DAY)
    diagnosis = ask(
        units(lambda row: row["variant"] == "baseline" or not down[0] <= row["ts"] < down[1])
    )
    assert (diagnosis.stage, diagnosis.remedy) == ("execution", "restart")
    assert carried(diagnosis) == {("day", "2026-09-04"), ("day", "2026-09-05")}


def test_bots_of_one_variant_only(units, ask):
    """Where only bots come unevenly, what is left out decides who is compared: analysis."""
    rows = units()
    swarm = [
        {**rows[0], "unit_id": f"s{n}", "variant": "generated", "bot": True} for n in range(1500)
    ]
    diagnosis = ask(rows + swarm)
    assert (diagnosis.stage, diagnosis.remedy) == ("analysis", "do_not_use")
    assert carried(diagnosis) == {("bot", "yes")}


def test_a_bot_rule_that_catches_one_variant(units, ask):
    """All units came as planned, those that are analysed did not: analysis."""
    rows = units()
    for number, row in enumerate(rows):
        if row["variant"] == "generated" and number % 10 == 0:
            row["bot"] = True
    diagnosis = ask(rows)
    assert (diagnosis.stage, diagnosis.remedy) == ("analysis", "do_not_use")
    assert "those that are analysed did not" in diagnosis.sentence


def test_strangers_are_a_fault_of_assignment(units, ask, make, run, start):
    """Units in a variant at weight zero were dealt there by nobody's plan."""
    experiment = make(variants=(*make().variants, Variant("idle", 0)))
    weights = {"baseline": 50.0, "generated": 50.0, "idle": 0.0}
    told = replace(
        run,
        phases=(
            Phase(
                number=1,
                starts_at=start,
                ends_at=None,
                slots=(),
                exposure=None,
                variants={},
                weights=weights,
            ),
        ),
    )
    rows = units()
    rows[0]["variant"] = "idle"
    diagnosis = ask(rows, experiment=experiment, told=told, mismatches=WRONG)
    assert (diagnosis.stage, diagnosis.remedy) == ("assignment", "restart")


def test_segments_that_cancel_out(units, ask):
    """A segment that rings alone is named though everything together came as planned."""
    draw = np.random.default_rng(9)
    rows = units()
    for row in rows:
        share = {"fast device": 0.47, "slow device": 0.56}[row["segment"]]
        row["variant"] = "generated" if draw.random() < share else "baseline"
    diagnosis = ask(rows)
    assert diagnosis.stage == "logging"
    assert ("segment", "slow device") in carried(diagnosis)


def test_an_alarm_that_has_passed_wants_to_be_acknowledged(units, ask, start):
    """A day that fired, in a split that is sound by now, ends in an acknowledgement."""
    rows = units(count=4000)
    for row in rows:
        row["ts"] = start + DAY / 2
    late = [
        {"variant": variant, "unit_id": f"{variant}{n}", "ts": start + 3 * DAY}
        for variant, count in (("baseline", 30_000), ("generated", 30_000))
        for n in range(count)
    ]
    early = [row for n, row in enumerate(rows) if row["variant"] == "baseline" or n % 5]
    diagnosis = ask(early + late)
    assert (diagnosis.stage, diagnosis.remedy) == (None, "acknowledge")
    assert "2026-09-01 has passed" in diagnosis.sentence


def test_a_remedy_is_in_the_json(units, ask):
    """The object names stage, sentence, remedy, source and every level asked."""
    data = ask(units(lambda row: (row["source"], row["variant"]) != ("web", "generated"))).to_json()
    assert list(data) == ["stage", "sentence", "remedy", "source", "parts"]
    assert {part["cut"] for part in data["parts"]} == {
        "source",
        "bot",
        "day",
        "segment",
        "channel",
        "country",
    }
