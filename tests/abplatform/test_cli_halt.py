import json

from click.testing import CliRunner

from abplatform.cli.main import abp


def run(*words):
    done = CliRunner().invoke(abp, list(map(str, words)))
    assert done.exit_code == 0, done.output
    return done.output


def test_halting_is_told_and_undone(tmp_path):
    """After abp halt the status says so; abp halt --end ends it; doing it twice changes nothing."""
    run("init", tmp_path / "ws")
    for _ in range(2):
        assert json.loads(run("halt", "--json", "-w", tmp_path / "ws")) == {"halted": True}
    assert "all experiments are off" in run("status", "-w", tmp_path / "ws")
    rows = (tmp_path / "ws" / "data" / "journal").glob("*.jsonl")
    assert sum(len(path.read_text().splitlines()) for path in rows) == 1
    run("halt", "--end", "-w", tmp_path / "ws")
    assert not json.loads(run("status", "--json", "-w", tmp_path / "ws"))["halted"]
