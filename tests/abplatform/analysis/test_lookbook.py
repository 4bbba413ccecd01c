"""Looks in the journal: written once, whoever looks, and facts from then on.

Run as a script, it is the process that a test kills while it writes them.
"""

import json
import os
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from abplatform.cli.analysis import analyze as analyze_verb
from abplatform.cli.analysis import pairs, report
from abplatform.cli.experiments import history
from abplatform.cli.srm import srm
from abplatform.logs.facts import ExperimentFacts
from abplatform.logs.landing import Landing
from abplatform.logs.load import ingest
from abplatform.loop.measure import judge_experiment, open_store
from abplatform.traffic.journal import Pen
from abplatform.traffic.registry import Registry
from abplatform.traffic.registry.look_plan import plan_at_start, plan_facts
from abplatform.traffic.registry.lookbook import RecordedLook, keep_looks, read_looks
from abplatform.workspace import Workspace, open_workspace

START = datetime(2026, 9, 1, tzinfo=UTC)
DAY = timedelta(days=1)
FINAL = timedelta(hours=96)
SPEC = """\
key: lamps
variants:
  baseline: {control: true, weight: 50}
  generated: {weight: 50}
metrics: {primary: {metric: ctr, mde: 15%}}
analysis: {min_runtime: 3d, max_runtime: 8d}
"""


def wire_events(days, *, lift=0.1, users=120, rate=0.35, seed=5):
    """Yield impressions and clicks of users of one day each, whose past tells of their taste."""
    rng = np.random.default_rng(seed)
    for day in days:
        for user in range(users):
            variant = ("baseline", "generated")[user % 2]
            taste = (0.2, 1.0, 1.8)[user // 2 % 3]
            for turn in range(2):
                ts = START + day * DAY + timedelta(hours=9, minutes=user, seconds=turn)
                event_id = f"i{seed}-{day}-{user}-{turn}"
                names = {"experiment": "lamps", "variant": variant, "unit_id": f"d{day}u{user}"}
                names |= {"creative_id": variant, "product_id": "p", "category": "home"}
                names |= {"attributes": {"past": taste}}
                yield wire("impression", event_id, ts, **names)
                if rng.random() < rate * taste * (1 + lift if user % 2 else 1):
                    clicked = ts + timedelta(seconds=9)
                    yield wire("click", f"c{event_id}", clicked, impression_id=event_id)


def wire(event_type, event_id, ts, **fields):
    event = {"schema": 1, "event_type": event_type, "event_id": event_id, "ts": ts.isoformat()}
    return json.dumps(event | fields).encode()


def workspace_at(root, moment):
    return Workspace(root, clock=lambda: moment)


def take_in(root, moment, lines=()):
    """Land lines and load everything by a clock of that moment."""
    workspace = workspace_at(root, moment)
    if lines:
        with Landing(workspace) as landing:
            landing.append("app", lines)
            landing.seal()
    one = Registry(workspace).find("lamps")
    facts = {"lamps": ExperimentFacts.of(one.experiment, started_at=one.started_at)}
    ingest(workspace, facts)
    return workspace


def look_plainly(root, moment, lines=()):
    """Analyse as the weekly turn does, at a moment."""
    workspace = take_in(root, moment, lines)
    with open_store(workspace, "test") as warehouse:
        registered = Registry(workspace).find("lamps")
        return judge_experiment(workspace, warehouse, registered, lineage={})


def look_rows(root):
    rows = Registry(open_workspace(root)).rows()
    return [row for row in rows if row.action == "look"]


def main(root, survivors):
    """Look, and die by SIGKILL when more rows than that have been written."""
    append, written = Pen.append, []

    def die_later(pen, action, **facts):
        row = append(pen, action, **facts)
        written.append(row)
        if len(written) == int(survivors):
            os.kill(os.getpid(), signal.SIGKILL)
        return row

    Pen.append = die_later
    look_plainly(Path(root), START + 40 * DAY)


@pytest.fixture
def shop(tmp_path):
    """A started experiment without any rows yet."""
    (tmp_path / "abp.yaml").write_text("{}\n")
    (tmp_path / "experiments").mkdir()
    (tmp_path / "experiments" / "lamps.yaml").write_text(SPEC)
    Registry(workspace_at(tmp_path, START)).start("lamps", at=START, who="growth")
    return tmp_path


def test_the_start_fixes_the_plan(shop):
    """The start's row holds the plan that the YAML gives, and whoever analyses uses that one."""
    registered = Registry(open_workspace(shop)).find("lamps")
    zone = open_workspace(shop).settings.time_zone
    plan = plan_facts(plan_at_start(registered.experiment, START, (), zone))
    assert registered.plan == plan
    assert plan["looks"] == 6
    assert plan["days"] == [3, 4, 5, 6, 7, 8]
    assert plan["kind"] == "sequential"
    assert 1 < plan["information_max"] / ((1.959964 + 0.841621) / np.log(1.15)) ** 2 < 1.1


def test_looks_are_written_once_and_shown_as_written(shop):
    """Looking again, and again later, adds only looks that were not due before."""
    first = look_plainly(shop, START + 5 * DAY + FINAL, [*wire_events(range(8))])
    assert [row.detail["day"] for row in look_rows(shop)] == [
        "2026-09-03",
        "2026-09-04",
        "2026-09-05",
    ]
    assert [row.at for row in look_rows(shop)] == [START + day * DAY for day in (3, 4, 5)]
    again = look_plainly(shop, START + 5 * DAY + FINAL)
    assert again.to_json() == first.to_json()
    assert len(look_rows(shop)) == 3
    last = look_plainly(shop, START + 40 * DAY)
    assert len(look_rows(shop)) == 6
    assert last.looks[:3] == first.looks
    assert last.looks[-1].decides


def test_looks_are_adjusted_by_the_past_where_the_yaml_says_so(shop):
    """The last look's z is that of the adjusted lift, with more information than the raw one."""
    found = {}
    for name, cuped in (("raw", ""), ("adjusted", ", cuped: {numerator: past}")):
        folder = shop / name
        (folder / "experiments").mkdir(parents=True)
        (folder / "abp.yaml").write_text("{}\n")
        text = SPEC.replace("8d}", f"8d{cuped}}}")
        (folder / "experiments" / "lamps.yaml").write_text(text)
        Registry(workspace_at(folder, START)).start("lamps", at=START, who="growth")
        found[name] = look_plainly(folder, START + 40 * DAY, [*wire_events(range(8), lift=0.0)])
    raw, adjusted = (found[key].looks[-1].row for key in ("raw", "adjusted"))
    lift = found["adjusted"].lifts[0]
    assert adjusted.z == pytest.approx(lift.absolute_lift / lift.se_absolute, rel=1e-9)
    assert adjusted.z != pytest.approx(raw.z, rel=1e-3)
    assert adjusted.information > 1.1 * raw.information
    assert len(found["adjusted"].looks) == 6


def test_what_comes_later_changes_no_look_and_no_verdict(shop):
    """After a win at an early look, late clicks for its very days leave it as it was."""
    won = look_plainly(shop, START + 5 * DAY + FINAL, [*wire_events(range(5), lift=0.9)])
    assert won.decision.verdict == "ship"
    late = [*wire_events(range(5), lift=-0.9, users=600, seed=6)]
    after = look_plainly(shop, START + 40 * DAY, late)
    assert after.lifts[0].relative_lift < won.lifts[0].relative_lift - 0.5
    assert after.looks == won.looks
    assert after.decision.verdict == "ship"
    assert after.decision.reasons == won.decision.reasons
    assert after.to_json()["estimate_at_decision"] == won.to_json()["estimate_at_decision"]


@pytest.mark.parametrize("survivors", [1, 4])
def test_killed_between_two_rows_it_goes_on_where_it_was(shop, survivors):
    """SIGKILL while looks are written: the next call writes the others and says the same."""
    take_in(shop, START + 40 * DAY, [*wire_events(range(8))])
    script = [sys.executable, __file__, str(shop), str(survivors)]
    ended = subprocess.run(script, capture_output=True, text=True, check=False)
    assert ended.returncode == -signal.SIGKILL, ended.stderr
    assert len(look_rows(shop)) == survivors
    scorecard = look_plainly(shop, START + 40 * DAY)
    assert [row.detail["look"] for row in look_rows(shop)] == [1, 2, 3, 4, 5, 6]
    assert scorecard.decision.verdict == look_plainly(shop, START + 41 * DAY).decision.verdict


def test_two_at_once_write_each_look_once(shop):
    """However many processes look, the first row of a look is the only one."""
    workspace = open_workspace(shop)
    looks = [
        RecordedLook(n, (START + n * DAY).date(), START + n * DAY, "v", {}) for n in range(1, 9)
    ]

    def keep(who):
        journal = Registry(workspace).journal
        return keep_looks(journal, "lamps", looks, written_at=START + 9 * DAY, who=who)

    with ThreadPoolExecutor(4) as pool:
        kept = list(pool.map(keep, ["a", "b", "c", "d"]))
    assert [row.detail["look"] for row in look_rows(shop)] == [1, 2, 3, 4, 5, 6, 7, 8]
    assert all(list(one) == looks for one in kept)
    assert list(read_looks(Registry(workspace).journal, "lamps")) == looks


def test_a_look_is_no_change_of_the_experiment(shop):
    """It can be stopped at a moment before its newest look, and its looks stay."""
    look_plainly(shop, START + 5 * DAY + FINAL, [*wire_events(range(8))])
    registry = Registry(workspace_at(shop, START + 9 * DAY))
    registry.stop("lamps", at=START + 4 * DAY, who="growth")
    stopped = registry.find("lamps")
    assert [look.look for look in stopped.looks] == [1, 2, 3]
    assert stopped.state == "stopped"


def call(command, *args):
    result = CliRunner().invoke(command, [str(arg) for arg in args], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


def test_only_plain_questions_take_looks(shop):
    """Asking about the past, or only about the split, writes nothing; each plain verb does."""
    take_in(shop, START + 9 * DAY, [*wire_events(range(8))])
    moment = (START + 5 * DAY + FINAL).isoformat()
    past = json.loads(call(analyze_verb, "lamps", "--as-of", moment, "--json", "-w", shop))
    assert [look["look"] for look in past["looks"]] == [1, 2, 3]
    call(analyze_verb, "lamps", "--final", "-w", shop)
    call(report, "lamps", "--as-of", moment, "-w", shop)
    call(srm, "lamps", "-w", shop)
    assert look_rows(shop) == []
    call(pairs, "lamps", "-w", shop)
    assert len(look_rows(shop)) == 6
    call(report, "lamps", "--markdown", "-w", shop)
    whole = json.loads(call(analyze_verb, "lamps", "--json", "-w", shop))
    assert len(look_rows(shop)) == 6
    assert whole["looks"][:3] == past["looks"]
    kept = json.loads(call(analyze_verb, "lamps", "--as-of", moment, "--json", "-w", shop))
    assert kept["looks"] == past["looks"]
    assert kept["lifts"][0]["look"] == 3
    assert kept["verdict"]["verdict"] == "continue"
    told = call(history, "lamps", "-w", shop)
    assert "sequential plan, looks: 6" in told
    assert "look 6; generated: z " in told


if __name__ == "__main__":
    main(*sys.argv[1:])
