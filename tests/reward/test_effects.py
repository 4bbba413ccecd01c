"""Effect models on drawn clicks whose truth is known, and against independent oracles."""

import gzip
import json
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import statsmodels.api as sm
import torch
from click.testing import CliRunner
from scipy.special import expit, logit
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import log_loss, roc_auc_score

from abplatform.cli.main import abp
from abplatform.errors import AbplatformError, CheckpointError, TrainingError
from reward.effects.compare import BASE_RATE, compare_models
from reward.effects.encoding import Rows, encode_rows, learn_encoding
from reward.effects.fitting import NetConfig, fit_net, predict_net
from reward.effects.networks import ClickNet, NetShape, cross
from reward.effects.quality import measure, rank_models
from reward.effects.regressions import regress_linear
from reward.effects.scorer import EffectScorer
from reward.effects.splits import Parts, split_rows
from reward.effects.tables import EffectTable, read_table

SHARED = Path(__file__).parents[3] / "shared" / "data"
SIZES = {"user": 40, "item": 30, "daytime": 7, "weather": 9, "country": 12, "homework": 2}
SHORT = NetConfig(epochs=3)


def draw_contexts(*, rows=12_000, interaction=1.0, seed=0):
    """Draw contexts like Frappe's: who uses which app when, in what weather, where.

    The log odds of a click are a sum over levels, and ``interaction`` times <a_item, b_daytime>.
    """
    rng = np.random.default_rng(seed)
    levels = {name: rng.integers(0, size, rows) for name, size in SIZES.items()}
    odds = sum(rng.normal(0, 0.4, size)[levels[name]] for name, size in SIZES.items()) - 1
    item, daytime = rng.normal(size=(SIZES["item"], 2)), rng.normal(size=(SIZES["daytime"], 2))
    odds += interaction * (item[levels["item"]] * daytime[levels["daytime"]]).sum(1)
    texts = {name: [f"{name} {value}" for value in values] for name, values in levels.items()}
    clicked = (rng.random(rows) < expit(odds)).astype(int)
    return pl.DataFrame({**texts, "truth": expit(odds), "clicked": clicked})


@pytest.fixture(scope="module")
def keep(tmp_path_factory):
    """Write a frame as a file and return its path."""

    def write(frame, name="table.parquet"):
        path = tmp_path_factory.mktemp("table") / name
        if name.endswith(".csv.gz"):
            path.write_bytes(gzip.compress(frame.write_csv().encode()))
        else:
            frame.write_parquet(path)
        return path

    return write


@pytest.fixture(scope="module")
def crossed(keep):
    return keep(draw_contexts().drop("truth"))


@pytest.fixture(scope="module")
def small(keep):
    return keep(draw_contexts(rows=600).drop("truth"))


def prepare(path, target="clicked", *, impressions=None, time=None, group=None, **encoding):
    table = read_table(path, target=target, impressions=impressions)
    parts = split_rows(table, time=time, group=group)
    return table, parts, learn_encoding(table, parts, **encoding)


def compare(path, models, config=None):
    return compare_models(*prepare(path), models, config=config or NetConfig()).results


def call(*words):
    result = CliRunner().invoke(abp, ["reward", "effects", *map(str, words)])
    if isinstance(result.exception, AbplatformError):
        raise result.exception
    return result.exit_code, result.stdout, result.stderr


# what models learn


def test_only_models_with_crossings_learn_a_planted_interaction(crossed):
    """FM and DeepFM come near the truth's own AUC; LR stays where single levels lead."""
    found = compare(crossed, ["lr", "fm", "deepfm", "linear"])
    table = read_table(crossed, target="clicked")
    tested = split_rows(table).tested
    truth = roc_auc_score(table.clicks[tested], draw_contexts()["truth"].to_numpy()[tested])
    for name in ("fm", "deepfm"):
        assert found[name].ranking.auc_gain_low > 0.05
        assert found[name].ranking.auc > truth - 0.04
        assert found[name].quality.normalised_entropy < found["lr"].quality.normalised_entropy
        assert 0.8 < found[name].quality.calibration_slope < 1.25
    assert found["lr"].ranking.auc > 0.65
    assert abs(found["linear"].ranking.auc_gain) < 0.01


def test_crossings_cost_little_where_there_are_none(keep):
    """Without an interaction FM ranks as LR does, within a hundredth."""
    found = compare(keep(draw_contexts(interaction=0.0).drop("truth")), ["lr", "fm"])
    assert abs(found["fm"].ranking.auc_gain) < 0.01
    assert found["fm"].quality.log_loss < found["lr"].quality.log_loss + 0.01


def test_noise_is_not_learned(keep):
    """Where clicks follow nothing, models stay by the base rate's log-loss."""
    frame = draw_contexts(rows=3000).drop("truth")
    frame = frame.with_columns(clicked=pl.Series(np.random.default_rng(1).random(3000) < 0.1))
    found = compare(keep(frame), ["lr", "fm", "deepfm", "forest"])
    base = found[BASE_RATE].quality.log_loss
    assert all(one.quality.log_loss < base + 0.01 for one in found.values())
    assert all(one.ranking.auc_low < 0.5 for name, one in found.items() if name != BASE_RATE)


def test_a_forest_bends_where_a_number_does(keep):
    """A click rate with a hump over a price is found by bins and by trees."""
    rng = np.random.default_rng(2)
    price = rng.exponential(20, 4000)
    clicked = rng.random(4000) < np.where(np.abs(price - 20) < 10, 0.4, 0.1)
    path = keep(pl.DataFrame({"price": price, "clicked": clicked.astype(int)}))
    found = compare(path, ["lr", "linear", "forest"])
    assert all(found[name].ranking.auc > 0.6 for name in ("lr", "linear", "forest"))


# networks and fitting


def test_crossings_are_the_double_loop():
    """The sum of squares is Σ over pairs of fields of the products of their vectors."""
    torch.manual_seed(0)
    vectors = torch.randn(5, 4, 3)
    slow = [
        sum(float(row[f] @ row[g]) for f in range(4) for g in range(f + 1, 4)) for row in vectors
    ]
    assert cross(vectors).tolist() == pytest.approx(slow, abs=1e-5)


def test_deepfm_reads_the_factors_that_fm_crosses():
    """There is one table of factors, and both parts move it."""
    torch.manual_seed(0)
    net = ClickNet(NetShape("deepfm", (3, 4)))
    assert [name for name, _ in net.named_parameters() if "mlp" not in name] == [
        "bias",
        "weight",
        "factors",
    ]
    codes = torch.tensor([[1, 2], [0, 3]])
    deep = net.mlp(net.factors[codes + net.first].flatten(1)).squeeze(1)
    flat = net.bias + net.weight[codes + net.first].sum(1) + cross(net.factors[codes + net.first])
    assert net(codes).tolist() == pytest.approx((flat + deep).tolist())


def test_a_fitted_lr_is_a_ridge_logistic_regression(keep):
    """The prior is L2 of scikit-learn with C = sigma², and both find the same probabilities."""
    path = keep(draw_contexts(rows=2000, interaction=0.0).drop("truth"))
    table, parts, encoding = prepare(path)
    rows = encode_rows(table, encoding, parts.fitted)
    config = NetConfig(epochs=800, patience=800, batch_rows=len(rows))
    fitted = fit_net(NetShape("lr", encoding.sizes), rows, rows, config)
    level = rows.codes + np.cumsum((0, *encoding.sizes[:-1]))
    design = np.zeros((len(rows), sum(encoding.sizes)))
    design[np.arange(len(rows))[:, None], level] = 1
    oracle = LogisticRegression(C=config.sigma**2, tol=1e-8, max_iter=1000).fit(design, rows.clicks)
    found = predict_net(fitted.net, rows.codes)
    assert found == pytest.approx(oracle.predict_proba(design)[:, 1], abs=0.005)


def test_counts_teach_as_their_impressions_would(keep):
    """A row of k clicks in n is as good as n rows: the linear model cannot tell them apart."""
    long = draw_contexts(rows=3000).select("daytime", "homework", "clicked")
    counts = long.group_by("daytime", "homework", maintain_order=True).agg(
        clicks=pl.col("clicked").sum(), impressions=pl.len()
    )
    spread = [counts["daytime"].rank("dense"), counts["homework"].rank("dense")]
    many = np.stack([one.to_numpy().astype(np.int64) for one in spread], axis=1)
    each = long.join(counts.with_row_index("cell"), on=["daytime", "homework"], how="left")
    cell = each["cell"].to_numpy()
    wide = Rows(many, counts["clicks"].to_numpy() * 1.0, counts["impressions"].to_numpy() * 1.0)
    tall = Rows(many[cell], each["clicked"].to_numpy() * 1.0, np.ones(3000))
    predictions = [regress_linear(rows, (8, 3), many).chance for rows in (wide, tall)]
    assert predictions[0] == pytest.approx(predictions[1], abs=1e-6)
    assert measure(predictions[0], wide).log_loss == pytest.approx(
        measure(predictions[0][cell], tall).log_loss
    )


def test_the_same_seed_gives_the_same_bits(small):
    """Every model is a function of table and seed; another seed gives other nets."""
    made = prepare(small)
    models = ["lr", "fm", "deepfm", "linear", "forest"]
    once, again = (compare_models(*made, models, config=SHORT).predictions for _ in range(2))
    other = compare_models(*made, models, config=replace(SHORT, seed=1)).predictions
    for name in models:
        assert once[name].chance.tobytes() == again[name].chance.tobytes()
        assert (once[name].chance.tobytes() == other[name].chance.tobytes()) == (name == "linear")


# numbers


@pytest.fixture
def judged():
    """Predictions with ties, and clicks that roughly follow them."""
    rng = np.random.default_rng(3)
    chance = np.round(rng.beta(2, 6, 400), 2).clip(0.01, 0.99)
    clicks = (rng.random(400) < expit(0.7 * logit(chance) + 0.2)).astype(float)
    return chance, Rows(np.zeros((400, 1), dtype=np.int64), clicks, np.ones(400))


def test_numbers_are_those_of_other_libraries(judged):
    """AUC and log-loss are scikit-learn's, slope and intercept a GLM's of statsmodels."""
    chance, rows = judged
    found = measure(chance, rows)
    assert found.log_loss == pytest.approx(log_loss(rows.clicks, chance))
    base = log_loss(rows.clicks, np.full(400, rows.clicks.mean()))
    assert found.normalised_entropy == pytest.approx(found.log_loss / base)
    ranking = rank_models({"one": chance}, rows, np.arange(400), reference=None, seed=0)["one"]
    assert ranking.auc == pytest.approx(roc_auc_score(rows.clicks, chance))
    assert ranking.auc_low < ranking.auc < ranking.auc_high
    line = sm.GLM(rows.clicks, sm.add_constant(logit(chance)), sm.families.Binomial()).fit()
    assert [found.calibration_intercept, found.calibration_slope] == pytest.approx(
        line.params.tolist()
    )


def test_counts_are_judged_as_their_impressions(judged):
    """A row that stands three times counts as one row with three times the clicks."""
    chance, rows = judged
    thrice = Rows(rows.codes, 3 * rows.clicks, 3 * rows.impressions)
    tripled = Rows(np.tile(rows.codes, (3, 1)), np.tile(rows.clicks, 3), np.ones(1200))
    one, other = measure(chance, thrice), measure(np.tile(chance, 3), tripled)
    assert vars_of(one) == pytest.approx(vars_of(other))


def vars_of(quality):
    return [getattr(quality, name) for name in quality.__slots__]


def test_calibration_error_is_the_mean_gap_of_bins(judged):
    """Moving well calibrated predictions by 0.1 costs 0.1; one prediction is one bin."""
    _, rows = judged
    halves = Rows(rows.codes, np.tile([1.0, 0.0], 200), rows.impressions)
    for chance, error in ((0.5, 0.0), (0.6, 0.1), (0.2, 0.3)):
        found = measure(np.full(400, chance), halves)
        assert found.calibration_error == pytest.approx(error)
        assert found.calibration_slope is None


def test_intervals_of_auc_cover_what_they_say():
    """Over drawn tables, about 95 of 100 intervals hold the truth; a copy gains exactly 0."""
    truth = 0.7602  # P(N(1, 1) > N(0, 1))
    held = 0
    for seed in range(40):
        rng = np.random.default_rng(seed)
        clicks = (np.arange(200) < 60).astype(float)
        chance = expit(rng.normal(clicks, 1))
        rows = Rows(np.zeros((200, 1), dtype=np.int64), clicks, np.ones(200))
        both = {"lr": chance, "copy": chance}
        found = rank_models(both, rows, np.arange(200), reference="lr", seed=seed)
        held += found["lr"].auc_low <= truth <= found["lr"].auc_high
        assert (found["copy"].auc_gain_low, found["copy"].auc_gain_high) == (0, 0)
    assert held >= 34


def test_units_of_a_group_are_drawn_together(judged):
    """Where a user's rows are copies of each other, the interval is as wide as users are few."""
    chance, rows = judged
    copies = Rows(
        *(np.repeat(part, 4, axis=0) for part in (rows.codes, rows.clicks)), np.ones(1600)
    )
    unit = np.repeat(np.arange(400), 4)
    by_row, by_user = (
        rank_models({"one": np.repeat(chance, 4)}, copies, one, reference=None, seed=0)["one"]
        for one in (np.arange(1600), unit)
    )
    width = by_user.auc_high - by_user.auc_low
    assert width == pytest.approx(2 * (by_row.auc_high - by_row.auc_low), rel=0.2)


def test_a_line_below_zero_is_clipped_and_counted(keep):
    """Predictions that are no probability are moved to be one, and told."""
    frame = pl.DataFrame(
        {
            "place": ["a", "a", "b", "b"] * 300,
            "hour": ["x", "y", "x", "y"] * 300,
            "clicked": [int(row % 4 == 3 or row == 0) for row in range(1200)],
        }
    )
    table, parts, encoding = prepare(keep(frame))
    fitted, tested = (encode_rows(table, encoding, rows) for rows in (parts.fitted, parts.tested))
    found = regress_linear(fitted, encoding.sizes, tested.codes)
    assert found.clipped == (tested.codes == 1).all(axis=1).sum() > 0
    assert ((found.chance > 0) & (found.chance < 1)).all()


# tables, splits and codes


def test_later_rows_test_by_time(keep):
    """Whatever the file's order, every tested row is later than every row that taught."""
    frame = draw_contexts(rows=500).drop("truth")
    start = datetime(2026, 11, 2, tzinfo=UTC)
    order = np.random.default_rng(0).permutation(500)
    moments = [start + timedelta(minutes=int(minute) // 2) for minute in order]
    for at, name in ((moments, "t.parquet"), ([one.isoformat() for one in moments], "t.csv.gz")):
        _, parts, encoding = prepare(keep(frame.with_columns(at=pl.Series(at)), name), time="at")
        assert (parts.by, parts.column, parts.tested.sum()) == ("time", "at", 100)
        late, learned = order[parts.tested], order[parts.stopping]
        assert late.min() > learned.max() >= learned.min() > order[parts.fitted].max()
        assert "at" not in [one.name for one in encoding.features]


def test_a_group_is_never_parted(small):
    """All rows of a user teach, or all test; the user is no feature then."""
    table, parts, encoding = prepare(small, group="user")
    for user in table.frame["user"].unique():
        mine = (table.frame["user"] == user).to_numpy()
        assert sum(one[mine].any() for one in (parts.fitted, parts.stopping, parts.tested)) == 1
        assert len(set(parts.unit[mine])) == 1
    assert "user" not in [one.name for one in encoding.features]
    assert 60 <= parts.tested.sum() <= 240


def test_what_was_not_learned_is_unknown():
    """Rare levels and new ones share code 0; a missing value is a level, if it was common."""
    frame = pl.DataFrame(
        {
            "place": ["feed"] * 60 + ["story"] * 60 + [None] * 40 + ["once"],
            "hour": [None, 1.5, 2.5, float("nan"), 9.0, 9.0, 11.0] * 23,
        }
    )
    table, parts = fake(frame)
    encoding = learn_encoding(table, parts)
    place, hour = encoding.features
    assert place.levels == ("feed", "story", None)
    assert place.codes(pl.Series(["story", "once", "new", None])).tolist() == [2, 0, 0, 3]
    assert hour.edges == (1.5, 2.5, 9.0)
    codes = hour.codes(pl.Series([-5.0, 1.5, 2.0, float("inf"), float("nan"), None]))
    assert codes.tolist() == [1, 1, 2, 4, 5, 5]
    with pytest.raises(TrainingError, match="there is no column 'hour'"):
        encoding.codes(frame.drop("hour"))
    with pytest.raises(TrainingError, match="hour holds something that is no number"):
        encoding.codes(frame.with_columns(hour=pl.lit("noon")))


def fake(frame):
    """A table all of whose rows teach."""
    rows = np.ones(len(frame))
    everyone = rows > 0
    parts = Parts(everyone, ~everyone, ~everyone, np.arange(len(rows)), "row", None)
    return EffectTable(frame, rows * 0, rows, Path("drawn"), ""), parts


def test_the_kind_of_a_column_follows_its_type_unless_told():
    """Texts, truths and few integers are categories; other numbers are binned; ids are left out."""
    rows = np.arange(400)
    frame = pl.DataFrame(
        {
            "id": rows,
            "name": [f"n{row}" for row in rows],
            "item": rows % 50,
            "cents": rows % 150,
            "new": rows % 3 == 0,
            "same": ["x"] * 400,
            "day": [datetime(2026, 11, 2, tzinfo=UTC)] * 400,
            "list": [[1, 2]] * 400,
        }
    )
    encoding = learn_encoding(*fake(frame))
    assert [(one.name, one.edges is None) for one in encoding.features] == [
        ("item", True),
        ("cents", False),
        ("new", True),
    ]
    assert set(encoding.left_out) == {"id", "name", "same", "day", "list"}
    kinds = {"item": "numeric", "cents": "categorical"}
    encoding = learn_encoding(*fake(frame.with_columns(cents=rows % 60)), kinds=kinds)
    assert [one.edges is None for one in encoding.features] == [False, True, True]
    with pytest.raises(TrainingError, match="day is no feature: a time does not come again"):
        learn_encoding(*fake(frame), features=["item", "day"])


def test_rows_without_impressions_are_left_out(keep):
    """A table of rates needs no row for what was not shown, and may have one."""
    frame = pl.DataFrame({"place": ["a", "b"] * 50, "clicks": [0, 3] * 50, "shown": [0, 9] * 50})
    table = read_table(keep(pl.concat([frame, frame])), target="clicks", impressions="shown")
    assert (len(table), table.clicks.sum(), table.impressions.sum()) == (100, 300, 900)
    assert table.frame.columns == ["place"]


BAD = {
    "clicked holds 2 where only 0 and 1 can be": {"clicked": pl.lit(2)},
    "clicked holds None, which is no count": {"clicked": pl.lit(None, dtype=pl.Int64)},
    "clicked holds nan, which is no count": {"clicked": pl.lit(float("nan"))},
    "clicked holds 'yes', which is no count": {"clicked": pl.lit("yes")},
    "clicked holds 0.5, which is no count": {"clicked": pl.lit(0.5)},
    "no impression is clicked": {"clicked": pl.lit(0)},
    "every impression is clicked": {"clicked": pl.lit(1)},
}


@pytest.mark.parametrize("message", BAD)
def test_a_target_that_cannot_be_is_one_clear_error(keep, message):
    """The error names the file, what is wrong, and what to do."""
    path = keep(draw_contexts(rows=100).with_columns(**BAD[message]))
    with pytest.raises(TrainingError, match=message) as told:
        read_table(path, target="clicked")
    assert told.value.path == path
    assert told.value.remedy


def test_a_table_that_cannot_teach_is_one_clear_error(keep, tmp_path):
    """Missing files and columns, too few rows, no feature and no time: each has its sentence."""
    frame = draw_contexts(rows=200).drop("truth")
    broken = tmp_path / "broken.parquet"
    broken.write_bytes(b"no Parquet" * 9)
    only = frame.select("clicked", pl.lit("x").alias("same"))
    bad = {
        "there is no such table": lambda: prepare(tmp_path / "none.csv"),
        "the table cannot be read": lambda: prepare(broken),
        "there is no column 'bought'": lambda: prepare(keep(frame), "bought"),
        "there is no column 'when'": lambda: prepare(keep(frame), time="when"),
        "there is no column 'colour'": lambda: prepare(keep(frame), features=["colour"]),
        "49 rows are too few": lambda: prepare(keep(frame.head(49))),
        "no column can be a feature": lambda: prepare(keep(only)),
        "weather tells no time in 200 rows": lambda: prepare(keep(frame), time="weather"),
        "split by same, the 0 rows that teach": lambda: prepare(keep(only), group="same"),
    }
    for message, make in bad.items():
        with pytest.raises(TrainingError, match=message) as told:
            make()
        assert told.value.remedy
    counts = frame.with_columns(shown=pl.col("clicked") - 1)
    with pytest.raises(TrainingError, match="shown holds -1, which is no count"):
        read_table(keep(counts), target="clicked", impressions="shown")
    with pytest.raises(TrainingError, match="more clicks than impressions"):
        read_table(
            keep(counts.with_columns(shown=pl.lit(1), clicked=pl.lit(2))),
            target="clicked",
            impressions="shown",
        )


# the command


def test_the_command_compares_and_keeps_a_model_that_predicts_again(crossed, tmp_path):
    """What is kept says of the tested rows exactly what the comparison judged."""
    out, models = tmp_path / "model", ["lr", "deepfm"]
    words = (crossed, "--target", "clicked", "--models", ",".join(models), "--seed", 2)
    code, told, _ = call(*words, "--out", out, "--json")
    numbers = json.loads(told)
    assert (code, list(numbers["models"])) == (0, ["base_rate", *models])
    assert (numbers["split"], numbers["warnings"]) == ({"by": "row", "column": None}, [])
    assert numbers["kept"]["model"] == "deepfm"
    names = {path.name for path in out.iterdir()}
    assert names == {"model.safetensors", "levels.json", "manifest.json"}
    assert json.loads((out / "manifest.json").read_text())["kind"] == "effect"

    made = prepare(crossed)
    judged = compare_models(*made, models, config=NetConfig(seed=2)).predictions["deepfm"].chance
    tested = pl.read_parquet(crossed).filter(pl.Series(made[1].tested))
    assert EffectScorer.load(out).predict(tested).tobytes() == judged.tobytes()
    unknown = tested.with_columns(user=pl.lit("a stranger"), weather=pl.lit(None, dtype=pl.String))
    assert ((chance := EffectScorer.load(out).predict(unknown)) > 0).all()
    assert (chance < 1).all()


def test_the_table_fits_a_terminal(small, tmp_path):
    """People see every model beside the base rate, and which one is kept when they name it."""
    code, told, _ = call(small, "--target", "clicked", "--out", tmp_path / "m", "--keep", "lr")
    assert code == 0
    assert max(map(len, told.splitlines())) <= 80 + len(str(tmp_path))
    assert all(name in told for name in ("base rate", "deepfm", "linear", "forest", "lr kept"))
    assert "…" not in told.splitlines()[6]


def test_calls_that_contradict_themselves_exit_2(small, tmp_path):
    """Unknown models, two splits and nothing to keep are wrong calls."""
    calls = {
        "'svm' is no name that could stand here": ("--models", "lr,svm"),
        "by --time or by --group": ("--time", "user", "--group", "user"),
        "--keep needs a folder": ("--keep", "lr"),
        "needs fm among --models": ("--keep", "fm", "--models", "lr", "--out", tmp_path),
        "--out keeps one of": ("--models", "linear", "--out", tmp_path),
    }
    for message, words in calls.items():
        code, _, told = call(small, "--target", "clicked", *words)
        assert code == 2
        assert message in told


def test_a_model_of_another_kind_or_a_damaged_one_is_refused(small, tmp_path):
    """Weights are read only if they are what was kept; a pickle beside them is refused."""
    call(small, "--target", "clicked", "--models", "lr", "--out", tmp_path)
    with pytest.raises(CheckpointError, match=r"manifest.json is missing"):
        EffectScorer.load(tmp_path.parent)
    (tmp_path / "forest.pkl").write_bytes(b"")
    with pytest.raises(CheckpointError, match=r"forest.pkl is refused"):
        EffectScorer.load(tmp_path)
    (tmp_path / "forest.pkl").unlink()
    (tmp_path / "levels.json").write_text("[]")
    with pytest.raises(CheckpointError, match=r"levels.json is corrupt") as told:
        EffectScorer.load(tmp_path)
    assert "abp reward effects --out" in told.value.remedy


def test_help_loads_neither_torch_nor_scikit_learn():
    """Asking what a verb does costs nothing."""
    code = (
        "import sys; from click.testing import CliRunner; from abplatform.cli.main import abp;"
        "assert CliRunner().invoke(abp, ['reward', 'effects', '--help']).exit_code == 0;"
        "print([name for name in ('torch', 'sklearn', 'polars') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.skipif(not (SHARED / "obd").is_dir(), reason="the real sample is not at hand")
def test_open_bandit_says_how_little_it_can_say():
    """Thirty-eight clicks teach nothing that shows: every interval of an AUC holds one half."""
    table = SHARED / "obd" / "random" / "all" / "all.csv.gz"
    names = "item_id,position,user_feature_0,user_feature_1,user_feature_2,user_feature_3"
    words = ("--target", "click", "--time", "timestamp", "--features", names, "--json")
    numbers = json.loads(call(table, *words)[1])
    parts = [numbers[part] for part in ("fitted", "stopping", "tested")]
    assert [part["rows"] for part in parts] == [7200, 800, 2000]
    assert sum(part["clicks"] for part in parts) == 38
    assert [warning["code"] for warning in numbers["warnings"]] == ["few_clicks"]
    assert numbers["categorical"] == names.split(",")
    for name in ("lr", "fm", "deepfm", "linear", "forest"):
        assert numbers["models"][name]["auc_low"] < 0.5 < numbers["models"][name]["auc_high"]
