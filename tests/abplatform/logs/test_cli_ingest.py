import gzip
import json

import pyarrow as pa
import pytest
from click.testing import CliRunner

from abplatform.cli.experiments import status
from abplatform.cli.logs import ingest as command
from abplatform.cli.receipts import REMEDIES
from abplatform.domain.events import REASONS
from abplatform.errors import IngestError, MappingError


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A workspace on the disk with one running experiment that was assigned elsewhere."""
    (tmp_path / "shop" / "experiments").mkdir(parents=True)
    (tmp_path / "shop" / "abp.yaml").write_text("time_zone: UTC\n")
    (tmp_path / "shop" / "experiments" / "beauty.yaml").write_text(
        "key: beauty\n"
        "assignment: external\n"
        "variants: {baseline: {control: true, weight: 50}, generated: {weight: 50}}\n"
        "metrics: {primary: ctr}\n"
    )
    monkeypatch.setenv("COLUMNS", "200")
    return tmp_path / "shop"


@pytest.fixture
def abp(folder):
    def call(*words):
        return CliRunner().invoke(
            command, [*map(str, words), "-w", str(folder)], catch_exceptions=False
        )

    return call


def test_ingest_prints_one_object(abp, write, wire):
    """--json is the receipt of the contract, and nothing else on stdout."""
    file = write([wire("impression", "i1"), wire("click", "k1", impression_id="i1"), b"bad"])
    told = json.loads(abp(file, "--json").stdout)
    assert {name: told[name] for name in ("received", "accepted", "quarantined")} == {
        "received": 3,
        "accepted": 2,
        "quarantined": 1,
    }
    assert told["reasons"] == {"not_json": 1}
    assert told["by_source"]["files"]["received"] == 3
    again = json.loads(abp(file, "--json").stdout)
    assert (again["received"], again["accepted"], again["duplicate"]) == (3, 0, 3)
    assert again["data_version"] == told["data_version"]


def test_ingest_prints_a_receipt_for_people(abp, write, wire):
    """The table adds up, is ticked, and shows one example of each reason."""
    file = write([wire("impression", "i1"), wire("impression", "i2", variant="third")], "own.jsonl")
    said = abp(file, "--source", "web").stdout
    assert "2 received = 1 accepted + 1 quarantined + 0 duplicate + 0 superseded ✓" in said
    assert "own.jsonl:2: `variant` is 'third'" in said
    assert "check the variant's name in log and YAML" in said
    assert "Nothing new" in abp().stdout


def test_every_reason_says_what_to_do(abp, write, wire):
    """No line is quarantined without a remedy, and a single orphan is told in the singular."""
    assert set(REMEDIES) == set(REASONS)
    said = abp(write([wire("click", "k1", impression_id="not-yet")])).stdout
    assert "1 click waits for an impression that has not come." in said


@pytest.mark.parametrize("name", ["gone.csv", "gone.jsonl", "gone.parquet", "gone.csv.gz"])
def test_a_file_that_is_not_there_is_called_so(abp, tmp_path, name):
    """A mistyped name names the file and is not taken for a broken format."""
    with pytest.raises(IngestError, match=r"gone.*[Nn]o such file.*[Cc]heck its name"):
        abp(tmp_path / name)


@pytest.mark.parametrize("name", ["own.jsonl", "own.csv"])
def test_an_empty_file_is_called_so(abp, folder, tmp_path, name):
    """A file without a byte is refused by name and leaves nothing behind."""
    (tmp_path / name).touch()
    with pytest.raises(IngestError, match=rf"{name}: the file is empty"):
        abp(tmp_path / name)
    assert not list(folder.rglob("*.partial"))


def test_a_dry_run_and_a_draft_write_nothing(abp, folder, tmp_path):
    """Both only print; the workspace stays without data."""
    file = tmp_path / "own.csv"
    file.write_text(
        "timestamp,user_id,ad_id,sku,category,clicked\n2026-11-02T12:00:00Z,u1,c1,p1,beauty,1\n"
    )
    draft = abp(file, "--draft").stdout
    mapping = tmp_path / "m.yaml"
    mapping.write_text(draft.replace("CHANGE-ME", "beauty"))
    options = ("--mapping", mapping, "--set", "variant=generated", "--dry-run")
    (trial,) = json.loads(abp(file, *options, "--json").stdout)
    assert (trial["received"], trial["accepted"]) == (2, 2)
    assert [event["event_type"] for event in trial["events"]] == ["impression", "click"]
    assert "dry run: nothing is written" in abp(file, *options).stdout
    assert not (folder / "data").exists()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--set", "a=b"], "name one with --mapping"),
        (["--dry-run"], "needs a FILE"),
        (["--draft"], "needs one FILE"),
        (["--draft", "--dry-run"], "takes one FILE and nothing else"),
        (["--as-of", "yesterday"], "is no time"),
        (["--mapping", "m.yaml", "--set", "nonsense"], "write NAME=VALUE"),
    ],
)
def test_wrong_calls_exit_with_2_and_say_why(abp, words, said):
    """A call that cannot be meant names what to write instead."""
    result = abp(*words)
    assert result.exit_code == 2
    assert said in result.stderr


def test_a_mapping_error_reaches_the_person(abp, tmp_path):
    """What is wrong with a mapping is raised with its place, for `abp` to print and exit 1."""
    file, mapping = tmp_path / "own.csv", tmp_path / "m.yaml"
    file.write_text("when\n1\n")
    mapping.write_text("event: click\nfields: {impression_id: imp}\ntime: {field: when}\n")
    with pytest.raises(MappingError, match=r"m.yaml:2:25: own.csv, line 1: there is no column"):
        abp(file, "--mapping", mapping)


TABLE = b"event_type,event_id,ts,unit_id\n" * 50


@pytest.mark.parametrize(
    ("name", "content", "said"),
    [
        ("torn.csv.gz", gzip.compress(TABLE, mtime=0)[:20], "decompressed .* bring the whole"),
        ("plain.csv.gz", TABLE, "cannot be decompressed .*[Nn]ot a gzipped file"),
        ("torn.csv.zst", pa.compress(TABLE, "zstd", asbytes=True)[:20], "cannot be decompressed"),
        ("wide.csv", b"a," * 600_000 + b"\n1\n", "longer than 1000000 bytes"),
        ("sheet.csv", TABLE.decode().encode("utf-16"), "such as by iconv -f UTF-16 "),
        ("umlaut.csv", "Käufer,b\n".encode("latin-1"), "such as by iconv -f LATIN1 "),
    ],
)
def test_a_header_that_cannot_be_read_says_why(abp, tmp_path, name, content, said):
    """What is damaged, wrongly named or no UTF-8 is not taken for an empty file."""
    (tmp_path / name).write_bytes(content)
    with pytest.raises(IngestError, match=rf"(?i){said}"):
        abp(tmp_path / name)


def test_a_table_without_rows_is_told_from_nothing_new(abp, tmp_path):
    """A file of a header alone says that it holds no event; then, that it is known."""
    file = tmp_path / "none.csv"
    file.write_bytes(TABLE[: TABLE.index(b"\n") + 1])
    assert "What was delivered holds no event." in abp(file).stdout
    assert "Nothing new" in abp(file).stdout


def test_a_mistyped_source_is_noticed(abp, write, wire):
    """Replacing what never stood there says so, and says where to look."""
    file = write([wire("impression", "i1")])
    abp(file)
    hours = ("--from", "2020-01-01", "--to", "2030-01-01")
    said = abp(file, "--replace", "fils", *hours).stdout
    assert "No event of fils stood in those hours, so that nothing was replaced" in said


def test_status_knows_what_a_log_declared(abp, folder, tmp_path):
    """An experiment that no YAML describes stands in status, by name, too."""
    file, mapping = tmp_path / "own.csv", tmp_path / "m.yaml"
    rows = (f"2026-11-02T12:00:0{n}Z,u{n},{'ab'[n % 2]}" for n in range(4))
    file.write_text("\n".join(["when,user,side", *rows]) + "\n")
    mapping.write_text(
        "event: impression\nfields: {unit_id: user, variant: side}\ntime: {field: when}\n"
        "constants: {experiment: own, creative_id: c, product_id: p, category: beauty}\n"
        "experiment: {assignment: external, control: first}\n"
    )
    assert abp(file, "--mapping", mapping).exit_code == 0
    for words in ([], ["own"]):
        said = CliRunner().invoke(status, [*words, "-w", str(folder)]).stdout
        assert "own" in said
        assert "declared by its log" in said
    told = CliRunner().invoke(status, ["--json", "-w", str(folder)]).stdout
    rows = {row["experiment"]: row for row in json.loads(told)["experiments"]}
    assert set(rows) == {"beauty", "own"}
    assert (rows["own"]["control"], rows["own"]["spec_sha256"]) == ("a", None)


def test_a_broken_draft_stops_no_log(abp, folder, write, wire):
    """What one file gets wrong is told, and the logs of all other experiments come in."""
    draft = folder / "experiments" / "draft.yaml"
    draft.write_text("key: draft\nassignment: external\nvariants: {a: {control: yes please}}\n")
    log = [wire("impression", "i1"), wire("impression", "i2", experiment="draft", variant="a")]
    result = abp(write(log))
    assert result.exit_code == 0
    assert "error: " in result.stderr
    assert "draft.yaml:1" in result.stderr
    assert "2 received = 1 accepted + 1 quarantined" in result.stdout
    draft.write_text(
        "key: draft\nassignment: external\nvariants: {a: {control: true}, b: {}}\n"
        "metrics: {primary: ctr}\n"
    )
    mended = abp()
    assert mended.stderr == ""
    assert "In the store: 2 received = 2 accepted + 0 quarantined" in mended.stdout
