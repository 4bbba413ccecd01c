import json
import re
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from abplatform.checkpoints import promote, save_checkpoint
from abplatform.cli.main import main

PAGE = Path(__file__).parents[2] / "docs" / "your-first-experiment.md"
SPEC = """\
key: beauty
layer: {name: feed, share: 60%}
variants:
  base: {control: true, weight: 50}
  gen: {weight: 50}
metrics: {primary: ctr}
ramp: [{traffic: 50%, hold: 24h}, {traffic: 100%}]
"""


@pytest.fixture
def abp(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("USER", "owner")
    monkeypatch.delenv("ABP_WORKSPACE", raising=False)
    (tmp_path / "abp.yaml").write_text("{time_zone: Asia/Shanghai}\n")
    (tmp_path / "experiments").mkdir()
    (tmp_path / "experiments/beauty.yaml").write_text(SPEC)

    def call(*words):
        monkeypatch.setattr(sys, "argv", ["abp", *words])
        with pytest.raises(SystemExit) as ended:
            main()
        printed = capsys.readouterr()
        return ended.value.code or 0, printed.out, printed.err

    return call


def test_first_experiment_page(tmp_path, monkeypatch, abp):
    """The five commands of the page run as they stand, and assign prints the page's table."""
    commands, table = re.findall(r"```(?:sh|text)\n(.*?)```", PAGE.read_text(), re.DOTALL)[:2]
    (tmp_path / "abp.yaml").unlink()
    out = ""
    for line in commands.splitlines():
        if line.startswith("cd "):
            monkeypatch.chdir(Path.cwd() / line.removeprefix("cd "))
            continue
        code, out, err = abp(*line.split()[1:])
        assert (code, err) == (0, "")
    assert len(commands.splitlines()) == 5
    assert [line.split() for line in out.splitlines()] == [
        line.split() for line in table.splitlines()
    ]


def test_assign_receipt(abp):
    """`assign --json` gives one row per unit with variant or reason, buckets and phase."""
    units = [f"user-{number}" for number in range(40)]
    code, out, _ = abp("assign", "beauty", *units, "--json")
    rows = json.loads(out)
    assert code == 0
    assert [row["unit_id"] for row in rows] == units
    assert {row["variant"] for row in rows} == {None, "base", "gen"}
    assert {row["reason"] for row in rows} == {"assigned", "layer", "ramp"}
    assert all((row["variant"] is None) == (row["reason"] != "assigned") for row in rows)
    keys = {"unit_id", "variant", "reason", "bucket", "layer_bucket", "phase"}
    assert all(set(row) == keys for row in rows)


def test_draft_and_running_agree(abp):
    """What a draft previews is what it assigns once started."""
    preview = abp("assign", "beauty", "a", "b", "c", "--json")
    assert abp("start", "beauty")[0] == 0
    assert abp("assign", "beauty", "a", "b", "c", "--json") == preview


def test_start_is_dated_in_the_workspace_zone(abp):
    """A time without an offset is the workspace's; the journal keeps UTC and who did it."""
    code, out, _ = abp("start", "beauty", "--at", "2026-11-02T08:00", "--by", "reviewer", "--json")
    assert code == 0
    assert json.loads(out)["started_at"] == "2026-11-02T00:00:00+00:00"
    _, out, _ = abp("history", "beauty", "--json")
    (row,) = json.loads(out)
    assert (row["at"], row["who"], row["action"]) == ("2026-11-02T00:00:00Z", "reviewer", "start")


def test_life_on_the_command_line(abp):
    """Start, pause, run on, ramp and stop each say where the experiment stands now."""
    calls = {
        "start beauty --at 2026-11-02": "running",
        "pause beauty --at 2026-11-03 --reason quiet": "paused",
        "start beauty --at 2026-11-04": "running",
        "ramp beauty --at 2026-11-05": "running",
        "stop beauty --at 2026-11-06": "stopped",
    }
    for words, state in calls.items():
        code, out, err = abp(*words.split(), "--json")
        assert (code, err) == (0, "")
        assert json.loads(out)["state"] == state
    code, out, _ = abp("history", "beauty")
    assert code == 0
    assert [line.split()[4] for line in out.splitlines()[1:]] == [
        "start",
        "pause",
        "resume",
        "ramp",
        "stop",
    ]
    assert "reason: quiet" in out
    assert "phase 3 at 100 % traffic" in out


def test_status_tells_of_a_forbidden_edit_and_all_runs_on(abp):
    """A forbidden edit shows in status by file and line; assign and stop go by what is in force."""
    abp("start", "beauty", "--at", "2026-11-02")
    Path("experiments/beauty.yaml").write_text(SPEC.replace("primary: ctr", "primary: cvr"))
    code, out, _ = abp("status")
    assert code == 0
    assert "experiments/beauty.yaml:6: edited after beauty started:" in out
    assert "primary.metric: cvr, was ctr (not while it runs)" in out
    row = json.loads(abp("status", "beauty", "--json")[1])["experiments"][0]
    assert row["edited"]["line"] == 6
    assert abp("assign", "beauty", "u")[0] == 0
    code, out, err = abp("apply", "beauty")
    assert (code, out) == (1, "")
    assert "experiments/beauty.yaml:6: " in err
    assert "data/specs/" in err
    assert abp("stop", "beauty")[0] == 0


def test_diff_sorts_edits_and_apply_lets_them_take_effect(abp):
    """Diff tells line, difference and effect; apply opens a phase; then nothing differs."""
    assert abp("diff", "beauty")[0] == 1
    abp("start", "beauty", "--at", "2026-11-02")
    assert "says what is in force" in abp("diff", "beauty")[1]
    assert "nothing waits" in abp("apply", "beauty")[1]
    text = SPEC.replace("weight: 50", "weight: 70", 1).replace("weight: 50", "weight: 30", 1)
    Path("experiments/beauty.yaml").write_text(text + "owner: growth\n")
    found = json.loads(abp("diff", "beauty", "--json")[1])["differences"]
    assert [one["kind"] for one in found] == ["phase", "phase", "safe"]
    out = abp("diff", "beauty")[1]
    assert "new phase: abp apply" in out
    assert "in effect" in out
    assert "beauty is in phase 2" in abp("apply", "beauty", "--reason", "wider")[1]
    assert "variants.base.weight: 70, was 50" in abp("history", "beauty")[1].replace("\n", " ")
    found = json.loads(abp("diff", "beauty", "--json")[1])["differences"]
    assert found == []
    row = json.loads(abp("status", "beauty", "--json")[1])["experiments"][0]
    assert (row["phase"], row["edited"]) == (2, None)
    assert [abp("apply", "nobody")[0], abp("apply", "beauty", "--at", "soon")[0]] == [1, 2]


def test_status_shows_broken_files(abp):
    """A running spec that became unreadable and a broken draft show in status, which succeeds."""
    abp("start", "beauty")
    Path("experiments/beauty.yaml").write_text("key: [")
    code, out, err = abp("status")
    assert code == 0
    assert "cannot be used any more" in out
    assert "experiments/beauty.yaml" in err
    assert len(json.loads(abp("status", "--json")[1])["problems"]) == 1


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (SPEC.replace("traffic: 50%, hold: 24h", "traffic: 0%"), "ramp.traffic must be"),
        (SPEC.replace("key: beauty", "key: beuty"), "the nearest key is 'beuty'"),
    ],
)
def test_assign_refuses_what_it_cannot_answer(abp, text, said):
    """No traffic and an unknown key exit 1 with one error that names file and remedy."""
    Path("experiments/beauty.yaml").write_text(text)
    code, out, err = abp("assign", "beauty", "u")
    assert (code, out) == (1, "")
    assert said.lower() in err.lower()
    assert "experiments" in err


def test_assign_explains_itself(abp):
    """`--explain` tells every step with salt, bucket and bounds, in JSON and in words alike."""
    Path("experiments/beauty.yaml").write_text(
        SPEC + "targeting: {attributes: {age: {min: 18}}}\nforced: {gen: [qa-1]}\n"
    )
    units = ["qa-1", *(f"user-{number}" for number in range(12))]
    words = ("assign", "beauty", *units, "--explain", "--context", "age=17")
    rows = json.loads(abp(*words, "--json")[1])
    text = abp(*words)[1]
    names = ["forced", "holdout", "layer", "targeting", "ramp", "running", "variant"]
    for row in rows:
        assert [step["step"] for step in row["steps"]] == names
        asked = [step for step in row["steps"] if step["asked"]]
        assert [step["outcome"] for step in asked[:-1]] == ["passes"] * (len(asked) - 1)
        assert asked[-1]["step"] == row["reason"]
        assert f"{row['unit_id']}: {row['variant'] or 'no variant'}, {row['reason']}" in text
        assert all(step["why"] in text for step in row["steps"])
        (layer,) = (step for step in row["steps"] if step["step"] == "layer")
        assert (layer["salt"], layer["bucket"]) == ("layer:feed", row["layer_bucket"])
        ((low, high),) = layer["ranges"]
        assert (layer["outcome"] == "passes") == (low <= row["layer_bucket"] < high)
    assert rows[0]["variant"] == "gen"
    assert {row["reason"] for row in rows} == {"forced", "layer", "targeting"}


@pytest.mark.parametrize(
    ("given", "admitted"), [("30", True), ("17", False), ("old", False), ('"30"', False)]
)
def test_context_has_types(abp, given, admitted):
    """An attribute is read as JSON reads it: 30 is a number, "30" in quotes is none."""
    targeting = "targeting: {attributes: {age: {min: 18}}}\n"
    Path("experiments/beauty.yaml").write_text(SPEC + targeting)
    units = [f"user-{number}" for number in range(20)]
    out = abp("assign", "beauty", *units, "--json", "--context", f"age={given}")[1]
    assert ("targeting" not in {row["reason"] for row in json.loads(out)}) == admitted


def test_overbooked_layer_on_the_command_line(abp):
    """Starting what a layer has no room for exits 1, naming file, line and who is there."""
    abp("start", "beauty")
    Path("experiments/shoes.yaml").write_text(SPEC.replace("key: beauty", "key: shoes"))
    code, _, err = abp("start", "shoes")
    assert code == 1
    assert re.search(r"experiments/shoes\.yaml:2: layer 'feed' is over-booked.*beauty 60 %", err)


def test_context_is_held_against_targeting(abp):
    """With a context, units outside the target get the reason; without one it is left out."""
    Path("experiments/beauty.yaml").write_text(SPEC + "targeting: {country: [CN]}\n")
    units = [f"user-{number}" for number in range(20)]
    abroad, at_home, anywhere = (
        [row["reason"] for row in json.loads(abp("assign", "beauty", *units, "--json", *more)[1])]
        for more in (("--context", "country=DE"), ("--context", "country=CN"), ())
    )
    assert "targeting" in abroad
    assert "assigned" not in abroad
    assert at_home == anywhere


@pytest.mark.parametrize(
    "words",
    [
        ("assign", "beauty"),
        ("assign", "beauty", "u", "--context", "country"),
        ("start", "beauty", "--at", "yesterday"),
        ("assign", "beauty", "\ud800"),
    ],
)
def test_wrong_calls_exit_with_2(abp, words):
    """A call that cannot be understood is a usage error."""
    code, out, _ = abp(*words)
    assert (code, out) == (2, "")


def test_draft_has_no_history(abp):
    """A draft's history is empty and says so; an unknown key's is an error."""
    assert abp("history", "beauty", "--json")[1] == "[]\n"
    assert "nothing was decided" in abp("history", "beauty")[1]
    assert abp("history", "nobody")[0] == 1


def test_start_writes_down_what_champion_stands_for(abp, tmp_path):
    """`start` resolves the alias in the YAML to the version that is champion at that moment."""
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "notes.txt").write_text("a model")
    root = tmp_path / "data" / "checkpoints"
    at = datetime(2026, 11, 1, tzinfo=UTC)
    kept = save_checkpoint(
        root, tmp_path / "model", kind="reward", metadata={"seed": 1}, created_at=at
    )
    promote(root, "reward", kept.sha256, at=at)
    creatives = "creatives: {source: generated, generator: caig, checkpoint: champion}"
    text = SPEC.replace("gen: {weight: 50}", f"gen: {{weight: 50, {creatives}}}")
    Path("experiments/beauty.yaml").write_text(text)
    code, out, _ = abp("start", "beauty", "--json")
    assert code == 0
    assert json.loads(out)["resolved"] == {"reward/champion": kept.sha256}


def write_log(path, per_variant, clicks=20):
    """Impressions of one user each, the first ones of a variant clicked, in wire events."""
    lines = []
    for variant, count in per_variant.items():
        for number in range(count):
            ts = f"2026-11-02T{number % 24:02d}:00:00+00:00"
            name = f"{variant}-{number}"
            shown = {"event_type": "impression", "event_id": name, "unit_id": name}
            about = {"experiment": "beauty", "variant": variant, "creative_id": "c"}
            about |= {"product_id": "p", "category": "lip", "schema": 1, "ts": ts}
            lines.append(shown | about)
            if number < clicks:
                click = {"schema": 1, "event_type": "click", "event_id": f"c-{name}", "ts": ts}
                lines.append(click | {"impression_id": name})
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return str(path)


@pytest.mark.parametrize(
    ("counts", "said"),
    [
        ({}, "no unit has come in"),
        ({"base": 2000, "gen": 900}, "SRM alarm"),
        ({"base": 200, "gen": 190}, ""),
    ],
    ids=["nothing came in", "broken split", "in order"],
)
def test_gate_is_checked_before_the_next_step(abp, tmp_path, counts, said):
    """A step with `gate: [srm]` is left only when units came in the planned shares."""
    Path("experiments/beauty.yaml").write_text(SPEC.replace("hold: 24h", "gate: [srm, guardrails]"))
    abp("start", "beauty", "--at", "2026-11-01")
    if counts:
        assert abp("ingest", write_log(tmp_path / "log.jsonl", counts))[0] == 0
    code, _, err = abp("ramp", "beauty")
    assert code == (1 if said else 0)
    assert said in err
