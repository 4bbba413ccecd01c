"""``abp init``, ``abp validate``, ``abp schema``, started as people start them."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]
BROKEN = Path(__file__).parent / "broken"
ABP = Path(sys.executable).with_name("abp")


def abp(*arguments, cwd):
    """Run abp in a folder; a traceback is never an answer."""
    done = subprocess.run(
        [ABP, *map(str, arguments)], cwd=cwd, capture_output=True, text=True, check=False
    )
    assert "Traceback" not in done.stderr
    return done


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    folder = tmp_path_factory.mktemp("made")
    assert abp("init", "team", cwd=folder).returncode == 0
    return folder / "team"


def test_init_makes_a_workspace_that_validates(made):
    """A new workspace holds settings, one example with its schema, a catalogue, next commands."""
    files = {str(path.relative_to(made)) for path in made.rglob("*") if path.is_file()}
    assert files == {
        "abp.yaml",
        "README.md",
        "catalog/products.csv",
        "experiments/generated-backgrounds.yaml",
        "experiments/experiment.schema.json",
    }
    done = abp("validate", cwd=made / "catalog")
    assert done.returncode == 0
    assert done.stdout == "2 files, 1 valid experiment, 0 errors, 0 warnings\n"


def test_init_keeps_what_is_there(made):
    """Repeated in a workspace, init adds what is missing and leaves what the team wrote alone."""
    (made / "abp.yaml").write_text("currency: EUR\n")
    (made / "README.md").unlink()
    done = abp("init", ".", "--json", cwd=made)
    assert json.loads(done.stdout)["written"] == [
        "README.md",
        "experiments/experiment.schema.json",
    ]
    assert (made / "abp.yaml").read_text() == "currency: EUR\n"


def test_init_refuses_a_folder_of_other_things(tmp_path):
    """A folder that holds something else stays untouched, and the message says what to do."""
    (tmp_path / "thesis.txt").write_text("mine")
    done = abp("init", ".", cwd=tmp_path)
    assert done.returncode == 1
    assert "the folder is not empty and is no workspace. Name a new or empty folder." in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]


def test_validate_lists_every_problem_on_a_line(tmp_path):
    """Files with errors exit 1: one line each, file:line:column first, the count last."""
    done = abp("validate", BROKEN / "two_controls.yaml", BROKEN / "weights_sum.yaml", cwd=tmp_path)
    assert done.returncode == 1
    first, second, count = done.stdout.splitlines()
    assert first == (
        f"{BROKEN}/two_controls.yaml:5:3: error two_controls: 'generated' is a second control "
        "beside 'baseline'. Keep `control: true` in one of them."
    )
    assert second.startswith(f"{BROKEN}/weights_sum.yaml:3:1: error weights_sum: ")
    assert count == "2 files, 0 valid experiments, 2 errors, 0 warnings"


def test_validate_answers_in_json(tmp_path):
    """--json gives the same findings as one object."""
    done = abp("validate", BROKEN / "unknown_key.yaml", "--json", cwd=tmp_path)
    assert done.returncode == 1
    assert json.loads(done.stdout) == {
        "ok": False,
        "files": 1,
        "experiments": [],
        "errors": [
            {
                "code": "unknown_key",
                "path": str(BROKEN / "unknown_key.yaml"),
                "line": 3,
                "column": 1,
                "message": "unknown key 'hypotesis'",
                "remedy": "perhaps you meant 'hypothesis'",
            }
        ],
        "warnings": [],
    }


def test_validate_checks_the_whole_workspace(tmp_path):
    """Without a path, abp.yaml and all experiments are checked, also against each other."""
    abp("init", ".", cwd=tmp_path)
    (tmp_path / "abp.yaml").write_text("timezone: UTC\n")
    example = tmp_path / "experiments/generated-backgrounds.yaml"
    (tmp_path / "experiments/z.yaml").write_text(example.read_text())
    done = abp("validate", "--json", cwd=tmp_path / "experiments")
    assert [error["code"] for error in json.loads(done.stdout)["errors"]] == [
        "unknown_key",
        "duplicate_experiment",
    ]
    again = abp("validate", tmp_path, tmp_path / "experiments", "--json", cwd=tmp_path)
    assert json.loads(again.stdout)["files"] == 3


def test_an_edit_of_a_running_experiment_is_told(tmp_path):
    """An edit that waits for a phase is a warning, a forbidden one an error, by file and line."""
    file = tmp_path / "experiments" / "tea.yaml"
    spec = "key: tea\nvariants:\n  a: {control: true}\n  b: {}\nmetrics: {primary: ctr}\n"
    file.parent.mkdir()
    (tmp_path / "abp.yaml").write_text("{}\n")
    file.write_text(spec)
    assert abp("start", "tea", cwd=tmp_path).returncode == 0
    file.write_text("# calm\n" + spec + "ramp: [{traffic: 100%}]\n")
    assert abp("validate", cwd=tmp_path).stdout.endswith("0 errors, 0 warnings\n")
    file.write_text(spec.replace("b: {}", "b: {weight: 60}").replace("true}", "true, weight: 40}"))
    done = abp("validate", cwd=tmp_path)
    assert done.returncode == 0
    assert "experiments/tea.yaml:3:3: warning unapplied: tea runs on as it was" in done.stdout
    assert "variants.a.weight: 40, was 50; variants.b.weight: 60, was 50" in done.stdout
    assert "abp apply tea" in done.stdout
    file.write_text(spec.replace("metrics: {primary: ctr}", "metrics: {primary: cvr}"))
    told = "experiments/tea.yaml:5:1: error edited_while_running: tea runs on as it was"
    for named in ((), ("experiments",), (file.relative_to(tmp_path),)):
        done = abp("validate", *named, cwd=tmp_path)
        assert done.returncode == 1
        assert done.stdout.startswith(told)
        assert "abp diff" in done.stdout
        assert "0 valid experiments, 1 error," in done.stdout
    file.write_text(spec.replace("key: tea", "key: coffee"))
    assert "edited_while_running" in abp("validate", cwd=tmp_path).stdout
    assert abp("stop", "tea", cwd=tmp_path).returncode == 0
    assert abp("validate", cwd=tmp_path).returncode == 0


def test_warnings_do_not_fail(tmp_path):
    """A file with warnings only exits 0 and shows them."""
    (tmp_path / "small.yaml").write_text(
        "key: small\nvariants: {a: {control: true}, b: {}}\nmetrics: {primary: ctr}\n"
        "verdict: {ship: primary.within_mde}\n"
    )
    done = abp("validate", "small.yaml", cwd=tmp_path)
    assert done.returncode == 0
    assert "small.yaml:4:1: warning no_mde: " in done.stdout


def test_wrong_calls_exit_2_and_empty_folders_1(tmp_path):
    """A path that is not there is a wrong call; a folder without YAML is a failed check."""
    assert abp("validate", "absent.yaml", cwd=tmp_path).returncode == 2
    assert abp("init", cwd=tmp_path).returncode == 2
    (tmp_path / "hollow").mkdir()
    done = abp("validate", "hollow", cwd=tmp_path)
    assert done.returncode == 1
    assert "no YAML file in this folder" in done.stdout
    outside = abp("validate", cwd=tmp_path)
    assert outside.returncode == 1
    assert "abp init DIR" in outside.stderr


def test_the_committed_schema_is_current(tmp_path):
    """experiments/experiment.schema.json is what `abp schema` prints."""
    done = abp("schema", cwd=tmp_path)
    assert done.returncode == 0
    assert (REPOSITORY / "experiments/experiment.schema.json").read_text() == done.stdout


def test_our_examples_are_valid_and_current(tmp_path, made):
    """The repository's examples validate, and the first is the one that init writes."""
    done = abp("validate", REPOSITORY / "experiments", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (
        0,
        "2 files, 2 valid experiments, 0 errors, 0 warnings\n",
    )
    name = "experiments/generated-backgrounds.yaml"
    assert (REPOSITORY / name).read_bytes() == (made / name).read_bytes()


def test_checking_loads_nothing_heavy():
    """Reading a spec imports no numerical or learning library."""
    code = (
        "import sys, abplatform.cli.project;"
        "print(*{'numpy','pandas','polars','torch','duckdb','scipy'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""
