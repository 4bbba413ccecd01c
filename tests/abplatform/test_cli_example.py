import csv
import gzip
import io
import json
import sys
import zipfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

import polars as pl
import pytest
from scipy import stats

from abplatform.cli.main import main
from abplatform.cli.open_bandit import CAMPAIGNS, POLICIES, unpack_sample
from abplatform.cli.upworthy import PastTest, find_winner, summarise
from abplatform.errors import IngestError
from abplatform.logs.store.published import read_published

SHARED = Path(__file__).parents[3] / "shared" / "data"
START = datetime(2019, 11, 24, tzinfo=UTC)
COLUMNS = ["", "timestamp", "item_id", "position", "click", "propensity_score", "user_feature_0"]


@pytest.fixture
def abp(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)

    def call(*words):
        monkeypatch.setattr(sys, "argv", ["abp", *map(str, words)])
        with pytest.raises(SystemExit) as ended:
            main()
        printed = capsys.readouterr()
        return ended.value.code or 0, printed.out, printed.err

    return call


def clicks_of(policy, campaign):
    return 20 + 10 * POLICIES.index(policy) + 5 * CAMPAIGNS.index(campaign)


def sample_log(policy, campaign, rows=300):
    """A log in the columns of the real sample: `rows` impressions over a week, some clicked."""
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(COLUMNS)
    for number in range(rows):
        at = START + timedelta(minutes=33 * number)
        clicked = int(number < clicks_of(policy, campaign))
        stamp = at.strftime("%Y-%m-%d %H:%M:%S.%f+00:00")
        writer.writerow(
            [number, stamp, number % 5, 1 + number % 3, clicked, 0.2, policy + campaign]
        )
    return text.getvalue().encode()


@pytest.fixture(scope="module")
def sample(tmp_path_factory):
    folder = tmp_path_factory.mktemp("obd")
    for policy in POLICIES:
        for campaign in CAMPAIGNS:
            place = folder / policy / campaign
            place.mkdir(parents=True)
            (place / f"{campaign}.csv.gz").write_bytes(gzip.compress(sample_log(policy, campaign)))
    return folder


def test_sample_from_wheel_and_from_folder_agree(sample, tmp_path):
    """The six logs are the same whether they come from a wheel or from an unpacked folder."""
    wheel = tmp_path / "obp.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        for policy in POLICIES:
            for campaign in CAMPAIGNS:
                name = f"obp/dataset/obd/{policy}/{campaign}/{campaign}.csv"
                archive.writestr(name, sample_log(policy, campaign))
    one, other = unpack_sample(wheel, tmp_path / "a"), unpack_sample(sample, tmp_path / "b")
    assert list(one) == list(other) == [(p, c) for p in POLICIES for c in CAMPAIGNS]
    for key, path in one.items():
        assert path.read_bytes() == other[key].read_bytes() == sample_log(*key)


def test_foreign_source_is_named(tmp_path):
    """A folder or a file without the sample is refused by name."""
    with pytest.raises(IngestError, match=r"no random/all/all\.csv") as caught:
        unpack_sample(tmp_path, tmp_path / "logs")
    assert caught.value.path == tmp_path
    wheel = tmp_path / "other.whl"
    wheel.write_bytes(b"no zip")
    with pytest.raises(IngestError, match="no wheel with"):
        unpack_sample(wheel, tmp_path / "logs")


def test_open_bandit_runs_from_log_to_scorecard(abp, sample):
    """Mapping, ingest and analysis give each campaign's clicks; a second run changes nothing."""
    code, out, err = abp("example", "open-bandit", "--file", sample)
    clicks = sum(clicks_of(policy, campaign) for policy in POLICIES for campaign in CAMPAIGNS)
    assert (code, err) == (0, "")
    assert f"{1800 + clicks:,} events received, {1800 + clicks:,} of them new" in out
    assert "20 → 30" in out
    code, out, err = abp("example", "open-bandit", "--file", sample, "--json")
    assert (code, err) == (0, "")
    card = json.loads(out)
    assert card["experiment"] == "open-bandit"
    by_campaign = {
        lift["category"]: (lift["k_control"], lift["k_treatment"], lift["n_control"])
        for lift in card["lifts"]
        if lift["breakdown"] == "category"
    }
    assert by_campaign == {c: (clicks_of("random", c), clicks_of("bts", c), 300) for c in CAMPAIGNS}
    assert card["srm"]["verdict"] == "ok"
    published = read_published(Path("open-bandit/data/published"))
    assert published.table("scorecards")["experiment"].to_list() == ["open-bandit"]
    assert published.table("daily")["clicks"].sum() == 2 * clicks  # by campaign, and over all
    assert set(published.table("creatives")["variant"]) == {"random", "bts"}


@pytest.mark.skipif(not (SHARED / "obd").is_dir(), reason="the real sample is not at hand")
@pytest.mark.slow
def test_open_bandit_counts(abp):
    """The real sample gives 38→42, 46→69 and 46→46 clicks on 10,000 impressions each."""
    code, out, _ = abp("example", "open-bandit", "--file", SHARED / "obd", "--json")
    assert code == 0
    lifts = [lift for lift in json.loads(out)["lifts"] if lift["breakdown"] == "category"]
    assert {lift["category"]: (lift["k_control"], lift["k_treatment"]) for lift in lifts} == {
        "all": (38, 42),
        "men": (46, 69),
        "women": (46, 46),
    }
    assert {lift["n_control"] for lift in lifts} == {lift["n_treatment"] for lift in lifts}
    assert {lift["n_control"] for lift in lifts} == {10_000}


def test_folder_that_is_no_workspace_is_refused(abp, sample, tmp_path):
    """The example never writes into a folder that holds something else."""
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "letter.txt").write_text("dear")
    code, _, err = abp("example", "open-bandit", "--file", sample, "--out", "mine")
    assert code == 1
    assert "not empty" in err


def package(test, impressions, clicks, week=201446):
    return {
        "clickability_test_id": test,
        "headline": f"{test} {clicks}",
        "lede": "x",
        "impressions": impressions,
        "clicks": clicks,
        "test_week": week,
    }


def test_upworthy_judges_all_tests_in_one_pass(abp, tmp_path):
    """Every test becomes an experiment; broken splits and clear winners are counted by week."""
    rows = [
        package("clear", 3000, 30),
        package("even", 3000, 60, 201400),
        package("clear", 3000, 120),  # rows of a test need not be neighbours
        package("even", 3000, 62, 201400),
        package("clear", 3000, 40),
        package("broken", 4000, 50),
        package("broken", 3000, 50),
    ]
    pl.DataFrame(rows).write_parquet(tmp_path / "packages.parquet")
    code, out, err = abp("example", "upworthy", "--file", "packages.parquet", "--json")
    assert (code, err) == (0, "")
    summary = json.loads(out)
    assert {name: summary[name] for name in ("tests", "srm_alarms", "winners")} == {
        "tests": 3,
        "srm_alarms": 1,
        "winners": 1,
    }
    assert sum(week["tests"] for week in summary["srm_alarms_by_week"]) == 3
    code, out, _ = abp("example", "upworthy", "--file", "packages.parquet")
    assert code == 0
    assert "1 with an SRM alarm" in out
    assert "1 with a significant winner" in out
    published = read_published(Path("upworthy/data/published"))
    verdicts = dict(published.table("scorecards").select("experiment", "verdict").iter_rows())
    assert verdicts == {"clear": "ship", "even": "continue", "broken": "invalid"}
    seen = published.table("creatives")
    assert seen.group_by("experiment").agg(pl.col("clicks").sum()).sort("experiment").rows() == [
        ("broken", 100),
        ("clear", 190),
        ("even", 122),
    ]
    pairs = published.table("pairs")
    assert pairs["experiment"].value_counts().sort("experiment").rows() == [
        ("clear", 3),
        ("even", 1),
    ]
    assert set(pairs["week"]) == {"2014-W46", "2014-W01"}
    assert published.table("daily").filter(pl.col("category").is_null())["clicks"].sum() == 412


@pytest.mark.skipif(not (SHARED / "upworthy").is_dir(), reason="the real archive is not at hand")
@pytest.mark.slow
def test_upworthy_archive(abp):
    """All 3,472 past tests are judged; alarms and winners match a reckoning without the store."""
    source = SHARED / "upworthy" / "packages_dev70.parquet"
    code, out, _ = abp("example", "upworthy", "--file", source, "--json")
    assert code == 0
    summary = json.loads(out)
    assert summary["ingest"]["accepted"] == 16_111
    tests = pl.read_parquet(source).partition_by("clickability_test_id")
    assert summary["tests"] == len(tests) == 3_472
    alarms = sum(stats.chisquare(test["impressions"]).pvalue < 0.001 for test in tests)
    assert summary["srm_alarms"] == alarms
    winners = sum(slow_winner(test["impressions"], test["clicks"]) for test in tests)
    assert summary["winners"] == winners


def slow_winner(impressions, clicks):
    """Whether the best rate beats all others by two-sided z-tests, step by step as Holm says."""
    if clicks.min() < 5:
        return False
    rates = (clicks / impressions).to_numpy()
    spread = rates * (1 - rates) / (impressions.to_numpy() - 1)
    best = rates.argmax()
    others = [i for i in range(len(rates)) if i != best]
    z = [(rates[best] - rates[i]) / (spread[best] + spread[i]) ** 0.5 for i in others]
    p_values = sorted(2 * stats.norm.sf(z))
    return all(p * (len(others) - i) < 0.05 for i, p in enumerate(p_values))


@pytest.mark.parametrize(
    ("counts", "winner"),
    [
        ({"v1": (3000, 30), "v2": (3000, 120), "v3": (3000, 40)}, "v2"),
        ({"v1": (3000, 100), "v2": (3000, 120), "v3": (3000, 40)}, None),
        ({"v1": (3000, 3), "v2": (3000, 120)}, None),
        ({"v1": (0, 0), "v2": (3000, 120)}, None),
        ({}, None),
    ],
    ids=["clear", "two are close", "too few clicks", "no rival", "nothing"],
)
def test_winner_beats_all_others(counts, winner):
    """A winner beats every other variant with traffic; what cannot be compared has none."""
    assert find_winner(counts) == winner


def test_summary_counts_by_week():
    """Weeks stand in order, each with its tests and alarms."""
    tests = [
        PastTest("a", "2014-W02", "alarm", "v1"),
        PastTest("b", "2014-W01", "ok", None),
        PastTest("c", "2014-W02", "ok", "v2"),
    ]
    assert summarise(tests) == {
        "tests": 3,
        "srm_alarms": 1,
        "winners": 2,
        "winners_without_alarm": 1,
        "srm_alarms_by_week": [
            {"week": "2014-W01", "tests": 1, "alarms": 0},
            {"week": "2014-W02", "tests": 2, "alarms": 1},
        ],
    }
