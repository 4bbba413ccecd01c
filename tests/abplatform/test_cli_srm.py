"""``abp srm`` used on a workspace: watch, diagnose, acknowledge, exclude, begin again, give up."""

import json
import shutil
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest

from abplatform.cli.main import main
from abplatform.domain.assignment import assign
from abplatform.traffic.registry import Registry
from abplatform.traffic.registry.remedies import exclude_source
from abplatform.workspace import open_workspace

START = datetime(2026, 9, 1, tzinfo=UTC)
SPEC = """\
# What we sell most.
key: lamps
variants:
  base: {control: true, weight: 50}
  gen: {weight: 50}
metrics: {primary: ctr}
"""
EXTERNAL = SPEC.replace("key: lamps", "key: vendor\nassignment: external")


def impression(number, *, key="lamps", **fields):
    names = {"creative_id": "c", "product_id": "p", "category": "home/lamp", "experiment": key}
    event = {"schema": 1, "event_type": "impression", "event_id": f"{key}-{number}", **names}
    return json.dumps(event | {"unit_id": f"u{number}"} | fields)


def write_logs(folder, *, key="lamps", variant_of, lost=0.5, users=7000):
    """Two sources, of which `web` loses a share of the treatment's users."""
    draw = np.random.default_rng(4)
    lines = {"app": [], "web": []}
    for number in range(users):
        source, variant = ("app", "app", "web")[number % 3], variant_of(number)
        if source == "web" and variant == "gen" and draw.random() < lost:
            continue
        ts = (START + timedelta(seconds=int(draw.integers(5 * 86400)))).isoformat()
        lines[source].append(impression(number, key=key, variant=variant, ts=ts))
    for source, events in lines.items():
        path = folder / f"{key}-{source}.jsonl"
        path.write_text("\n".join(events) + "\n")
        yield source, path


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    """Return a workspace with one started and one external experiment, both broken in `web`."""
    root = tmp_path_factory.mktemp("shop")
    (root / "abp.yaml").write_text("{}\n")
    (root / "experiments").mkdir()
    (root / "experiments/lamps.yaml").write_text(SPEC)
    (root / "experiments/vendor.yaml").write_text(EXTERNAL)
    (root / "experiments/idea.yaml").write_text(SPEC.replace("key: lamps", "key: idea"))
    registry = Registry(open_workspace(root))
    registry.start("lamps", at=START, who="owner")
    plan = registry.plan("lamps", START + timedelta(days=1))
    logs = [
        *write_logs(root, variant_of=lambda number: assign(plan, f"u{number}").variant),
        *write_logs(root, key="vendor", variant_of=lambda number: ("base", "gen")[number % 2]),
    ]
    with pytest.MonkeyPatch.context() as patch:
        for source, path in logs:
            words = ["abp", "ingest", str(path), "--source", source, "-w", str(root)]
            patch.setattr(sys, "argv", words)
            with pytest.raises(SystemExit) as ended:
                main()
            assert not ended.value.code
    return root


@pytest.fixture
def call(monkeypatch, capsys):
    """Return ``call(words …)`` → (code, out, err) in the present folder."""
    monkeypatch.setenv("USER", "owner")
    monkeypatch.delenv("ABP_WORKSPACE", raising=False)

    def called(*words):
        monkeypatch.setattr(sys, "argv", ["abp", *words])
        with pytest.raises(SystemExit) as ended:
            main()
        printed = capsys.readouterr()
        return ended.value.code or 0, printed.out, printed.err

    return called


@pytest.fixture
def look(shop, call, monkeypatch):
    """Call in the shop itself, where nothing may change."""
    monkeypatch.chdir(shop)
    return call


@pytest.fixture
def abp(shop, call, tmp_path, monkeypatch):
    """Call in a copy of the shop."""
    copy = tmp_path / "shop"
    shutil.copytree(shop, copy)
    monkeypatch.chdir(copy)
    return call


def told(result):
    assert result[0] == 0, result
    return json.loads(result[1])


def rows_of(abp, key):
    return [row["action"] for row in told(abp("history", key, "--json"))]


def test_people_see_the_days(look):
    """The table has a row per workspace day with new units and the e-value at its end."""
    code, out, _ = look("srm", "lamps")
    assert code == 0
    assert out.startswith("lamps: alarm: seen base ")
    days = [line.split() for line in out.splitlines() if line.startswith("2026-09-0")]
    assert [day[0] for day in days] == [f"2026-09-0{n}" for n in range(1, 6)]
    assert days[-1][-1] == "alarm"
    data = told(look("srm", "lamps", "--json"))
    for variant in ("base", "gen"):
        assert sum(day["units"][variant] for day in data["days"]) == data["observed"][variant]
    assert data["e_value"] == max(day["e_value"] for day in data["days"]) >= 1000
    assert data["fired_on"] == next(day["day"] for day in data["days"] if day["e_value"] >= 1000)


def test_a_diagnosis_ends_in_a_command_that_works(abp):
    """The named source is left out by the very command, and the split is sound without it."""
    code, out, _ = abp("srm", "lamps", "--diagnose")
    assert code == 0
    command = out.splitlines()[-1]
    assert command == "abp srm lamps --exclude-source web --why 'sample ratio mismatch, logging'"
    data = told(abp("srm", "lamps", "--diagnose", "--json"))
    assert data["diagnosis"]["command"] == command
    assert (data["diagnosis"]["stage"], data["diagnosis"]["source"]) == ("logging", "web")
    after = told(abp("srm", "lamps", "--exclude-source", "web", "--why", "it loses gen", "--json"))
    assert (after["verdict"], after["excluded_sources"]) == ("ok", ["web"])
    card = told(abp("analyze", "lamps", "--json"))
    assert card["srm"]["observed"] == after["observed"]
    assert card["units"] == sum(after["observed"].values())
    assert "changed_after_the_fact" in {note["code"] for note in card["warnings"]}


def test_excluding_twice_changes_nothing(abp):
    """The journal has one row, whoever asks again."""
    abp("srm", "lamps", "--exclude-source", "web", "--why", "it loses gen")
    code, out, _ = abp("srm", "lamps", "--exclude-source", "web", "--why", "again")
    assert (code, "nothing was changed" in out) == (0, True)
    assert rows_of(abp, "lamps") == ["start", "exclude_source"]


def test_an_external_experiment_is_cared_for_too(abp):
    """It can be diagnosed and a source left out, but not begun again."""
    data = told(abp("srm", "vendor", "--diagnose", "--json"))
    assert data["diagnosis"]["remedy"] == "exclude_source"
    abp("srm", "vendor", "--exclude-source", "web", "--why", "it loses gen")
    assert told(abp("srm", "vendor", "--json"))["verdict"] == "ok"
    code, _, err = abp("srm", "vendor", "--restart", "--why", "x")
    assert (code, "its variants come from the log" in err) == (1, True)


def test_acknowledging_is_written_once_a_day_and_mends_nothing(abp):
    """The alarm of an imbalance that is still there stays, and says so."""
    code, out, _ = abp("srm", "lamps", "--acknowledge", "--why", "looked at it")
    assert (code, "still there" in out) == (0, True)
    code, out, _ = abp("srm", "lamps", "--acknowledge", "--why", "looked at it")
    assert (code, "acknowledged today" in out) == (0, True)
    assert rows_of(abp, "lamps") == ["start", "acknowledge_srm"]
    assert told(abp("srm", "lamps", "--json"))["verdict"] == "alarm"


def test_begin_again_with_a_fresh_salt(abp):
    """The successor keeps plan and comments under a new key; both journals name the other."""
    code, out, _ = abp("srm", "lamps", "--restart", "--why", "web is mended")
    assert (code, "abp start lamps-r2" in out) == (0, True)
    text = Path("experiments/lamps-r2.yaml").read_text()
    assert text.splitlines()[1:] == SPEC.replace("key: lamps", "key: lamps-r2").splitlines()
    assert rows_of(abp, "lamps") == ["start", "stop", "restart"]
    assert rows_of(abp, "lamps-r2") == ["succeed"]
    again = told(abp("srm", "lamps", "--restart", "--why", "web is mended", "--json"))
    assert again["successor"] == "lamps-r2"
    assert "nothing was changed" in again["done"]
    assert rows_of(abp, "lamps") == ["start", "stop", "restart"]
    assert abp("start", "lamps-r2")[0] == 0
    units = [f"u{number}" for number in range(300)]
    moved = [row["variant"] for row in told(abp("assign", "lamps-r2", *units, "--json"))]
    plan = Registry(open_workspace(Path())).plan("lamps", START + timedelta(days=1))
    stayed = sum(assign(plan, unit).variant == now for unit, now in zip(units, moved, strict=True))
    assert 110 < stayed < 190
    data = told(abp("srm", "lamps", "--diagnose", "--json"))
    assert data["diagnosis"]["remedy"] == "exclude_source"
    assert told(abp("srm", "lamps-r2", "--json"))["predecessor"] == "lamps"


def test_give_up(abp):
    """What a person says not to use is invalid for good and teaches nothing."""
    code, out, _ = abp("srm", "lamps", "--do-not-use", "--why", "nobody knows who saw what")
    assert (code, "yields no pairs" in out) == (0, True)
    assert "nothing was changed" in abp("srm", "lamps", "--do-not-use", "--why", "x")[1]
    assert rows_of(abp, "lamps") == ["start", "stop", "do_not_use"]
    assert told(abp("status", "lamps", "--json"))["experiments"][0]["state"] == "stopped"
    assert told(abp("analyze", "lamps", "--json"))["verdict"]["verdict"] == "invalid"
    assert told(abp("pairs", "lamps", "--json"))["pairs"] == 0
    assert "Do not use this experiment: nobody knows who saw what." in abp("report", "lamps")[1]


def test_a_past_moment(look):
    """As of an evening the check knows the units of that day."""
    data = told(look("srm", "lamps", "--as-of", "2026-09-02T23:59", "--json"))
    assert [day["day"] for day in data["days"]] == ["2026-09-01", "2026-09-02"]


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("lamp",), 1, "The nearest key is 'lamps'"),
        (("lamps", "--acknowledge"), 2, "say why with --why"),
        (("lamps", "--restart", "--why", "  "), 2, "say why with --why"),
        (("lamps", "--why", "x"), 2, "--why explains an action"),
        (("lamps", "--restart", "--do-not-use", "--why", "x"), 2, "one at a time"),
        (("lamps", "--restart", "--diagnose", "--why", "x"), 2, "acts now"),
        (("lamps", "--restart", "--as-of", "2026-09-02", "--why", "x"), 2, "acts now"),
        (("lamps", "--as-of", "soon"), 2, "is no time such as"),
        (("lamps", "--exclude-source", "wbe", "--why", "x"), 1, "The nearest is 'web'"),
        (("idea", "--exclude-source", "web", "--why", "x"), 1, "no exposures whose source"),
        (("idea", "--acknowledge", "--why", "x"), 1, "no alarm that could be acknowledged"),
        (("idea", "--restart", "--why", "x"), 1, "nothing to begin again"),
        (("idea", "--do-not-use", "--why", "x"), 1, "no results that could be used"),
    ],
)
def test_nonsense_is_refused_in_one_sentence(look, words, code, said):
    """Each mistake has one clear error, and the journal stays as it was."""
    before = rows_of(look, "lamps")
    result = look("srm", *words)
    assert (result[0], said in result[2]) == (code, True), result
    assert rows_of(look, "lamps") == before == ["start"]


def test_the_last_source_stays(abp):
    """An experiment without a row is none; the error says how to give it up."""
    abp("srm", "lamps", "--exclude-source", "web", "--why", "x")
    code, _, err = abp("srm", "lamps", "--exclude-source", "app", "--why", "x")
    assert (code, "--do-not-use" in err) == (1, True)


def test_nothing_to_diagnose_without_units(look):
    """A draft has no split that could be broken."""
    code, out, _ = look("srm", "idea", "--diagnose")
    assert code == 0
    assert "No unit has come yet" in out


def test_looks_under_an_alarm_are_taken_again_without_the_source(abp):
    """What the broken rows showed decided nothing; the looks that decide never saw them."""
    analysed = told(abp("analyze", "lamps", "--json"))
    assert analysed["verdict"]["verdict"] == "invalid"
    taken = [action for action in rows_of(abp, "lamps") if action == "look"]
    assert taken
    abp("srm", "lamps", "--exclude-source", "web", "--why", "it loses gen")
    card = told(abp("analyze", "lamps", "--json"))
    assert rows_of(abp, "lamps") == ["start", *taken, "exclude_source", *taken]
    assert told(abp("analyze", "lamps", "--json"))["looks"] == card["looks"]
    assert rows_of(abp, "lamps").count("look") == 2 * len(taken)


def test_without_an_alarm_looks_stay_facts(abp):
    """Who leaves a source out for another reason moves estimates, never a look."""
    abp("srm", "lamps", "--exclude-source", "web", "--why", "it loses gen")
    before = told(abp("analyze", "lamps", "--json"))
    taken = rows_of(abp, "lamps")
    exclude_source(
        Registry(open_workspace(Path())).journal,
        "lamps",
        "partner",
        at=START + timedelta(days=50),
        who="owner",
        why="it is another shop's",
    )
    assert told(abp("analyze", "lamps", "--json"))["looks"] == before["looks"]
    assert rows_of(abp, "lamps") == [*taken, "exclude_source"]
