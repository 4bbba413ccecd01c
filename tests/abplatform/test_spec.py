"""Experiment YAML ⇄ Experiment."""

import json
import re
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import jsonschema
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from abplatform.domain import experiment as words
from abplatform.domain.metrics import METRICS
from abplatform.domain.spec import (
    check_experiment,
    check_experiments,
    experiment_schema,
    parse_experiment,
    read_experiments,
    spec_sha256,
    write_experiment,
)
from abplatform.domain.targeting import NumberRange
from abplatform.errors import SpecError
from abplatform.yaml_text import parse, plain

HERE = Path("file.yaml")
BROKEN = sorted((Path(__file__).parent / "broken").glob("*.yaml"))
EXAMPLES = sorted((Path(__file__).parents[2] / "experiments").glob("*.yaml"))
SCHEMA = jsonschema.Draft202012Validator(experiment_schema())

BEYOND_SCHEMA = {
    "no_control",
    "two_controls",
    "weights_sum",
    "weight_missing",
    "ramp_order",
    "runtime_order",
    "bad_rule",
    "baseline_with_generator",
    "guardrail_without_bound",
    "guardrail_min_of_a_cost",
    "cuped_without_source",
    "cuped_two_sources",
    "cuped_of_requests",
    "range_of_nothing",
    "forced_twice",
    "forced_into_nothing",
    "dimension_as_attribute",
    "rules_missing",
    "rules_without_effect",
}
"""Broken files whose rule no JSON Schema can say: it joins several keys, or is a grammar."""

FULL = """\
key: beauty-generated-2026w48
owner: growth-beauty
hypothesis: Generated backgrounds raise CTR in beauty by at least 3 %.
layer: {name: feed-creative, share: 40%}
unit: user_id
targeting:
  category: [beauty/lip, fashion]
  country: [CN, NO]
  channel: [app]
  attributes: {age: {min: 18, below: 65}, premium: true, tier: [gold, silver]}
forced: {generated: [qa-1, qa-2]}
policy: {choose: uniform, floor: 5%}
approval: human
variants:
  baseline: {control: true, weight: 50, creatives: {source: baseline}}
  generated:
    weight: 50
    creatives: {source: generated, generator: caig, checkpoint: champion, per_product: 4}
ramp: [{traffic: 5%, hold: 24h, gate: [srm, guardrails]}, {traffic: 100%}]
events:
  {attribution_window: 12h, conversion_window: 14d, refund_window: 30d, late_data: 1h,
   bots: include}
metrics:
  primary: {metric: ctr, direction: increase, mde: 3%}
  guardrails: [{metric: cvr, non_inferiority_margin: 1%}, {metric: match_rate, min: 78%}]
breakdowns: [{by: category, level: 2, correction: bh, shrink: false}, {by: country}]
analysis: {test: fixed, alpha: 0.1, min_runtime: 7d, max_runtime: 21d}
verdict: {ship: primary.wins, reject: primary.loses, no_difference: not primary.wins}
learning: {pairs: {scope: [product], min_p_win: 0.6}, retrain: never}
"""

MINIMAL = """\
key: small
variants: {a: {control: true}, b: {}}
metrics: {primary: ctr}
"""


def _plain(text):
    return plain(parse(text, path=HERE))


def test_every_key_arrives_where_it_belongs():
    """The specification's example, every value changed from its default, reads as it says."""
    experiment = parse_experiment(FULL, path=HERE)
    floor = words.Policy(floor=0.05)
    assert experiment == words.Experiment(
        key="beauty-generated-2026w48",
        owner="growth-beauty",
        hypothesis="Generated backgrounds raise CTR in beauty by at least 3 %.",
        layer=words.Layer("feed-creative", share=0.4),
        targeting={
            "category": ("beauty/lip", "fashion"),
            "country": ("CN", "NO"),
            "channel": ("app",),
            "age": NumberRange(min=18, below=65),
            "premium": True,
            "tier": ("gold", "silver"),
        },
        forced={"generated": ("qa-1", "qa-2")},
        approval=words.Approval(by="human"),
        variants=(
            words.Variant(
                "baseline",
                50.0,
                control=True,
                creatives=words.CreativeChoice("baseline"),
                policy=floor,
            ),
            words.Variant(
                "generated",
                50.0,
                creatives=words.CreativeChoice("generated", "caig", "champion", 4),
                policy=floor,
            ),
        ),
        ramp=(
            words.RampStep(0.05, timedelta(hours=24), ("srm", "guardrails")),
            words.RampStep(1.0),
        ),
        events=words.EventWindows(
            attribution_window=timedelta(hours=12),
            conversion_window=timedelta(days=14),
            refund_window=timedelta(days=30),
            late_data=timedelta(hours=1),
            bots="include",
        ),
        primary=words.PrimaryMetric("ctr", "increase", 0.03),
        guardrails=(
            words.Guardrail("cvr", non_inferiority_margin=0.01),
            words.Guardrail("match_rate", min=0.78),
        ),
        breakdowns=(
            words.Breakdown("category", 2, "bh", shrink=False),
            words.Breakdown("country"),
        ),
        analysis=words.Analysis("fixed", 0.1, None, timedelta(days=7), timedelta(days=21)),
        verdict=words.VerdictRules("primary.wins", "primary.loses", "not primary.wins"),
        learning=words.Learning(("product",), 0.6, "never"),
    )


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("{window: 14d}", words.Cuped(window=timedelta(days=14))),
        (
            "{numerator: past_clicks, denominator: past_impressions}",
            words.Cuped(numerator="past_clicks", denominator="past_impressions"),
        ),
        ("{numerator: predicted_ctr}", words.Cuped(numerator="predicted_ctr")),
    ],
)
def test_cuped_reads_own_logs_or_attributes(written, meant):
    """Pre-period totals come from a window of own logs, or from one or two named attributes."""
    text = FULL.replace("alpha: 0.1", f"alpha: 0.1, cuped: {written}")
    experiment = parse_experiment(text, path=HERE)
    assert experiment.analysis.cuped == meant
    assert parse_experiment(write_experiment(experiment), path=HERE) == experiment


def test_what_is_not_built_says_so():
    """Keys of features to come are refused one by one, as not available, not as unknown."""
    text = FULL.replace(
        "{choose: uniform, floor: 5%}", "{choose: recommender, frequency_cap: 4/7d, hours: all}"
    )
    errors = check_experiment(text, path=HERE).errors
    assert [error.message.split(" is not available yet")[0] for error in errors] == [
        "policy.choose: recommender",
        "policy.frequency_cap",
        "policy.hours",
    ]
    assert {error.code for error in errors} == {"not_available"}


def test_three_keys_suffice():
    """Only key, variants and metrics.primary are required; all else has the stated default."""
    experiment = parse_experiment(MINIMAL, path=HERE)
    assert experiment == words.Experiment(
        key="small",
        variants=(words.Variant("a", 50.0, control=True), words.Variant("b", 50.0)),
        primary=words.PrimaryMetric("ctr"),
    )
    assert experiment.own_layer == words.Layer("small", share=1.0)


def test_the_stated_defaults_hold():
    """What the specification shows for events, analysis, verdict and learning is the default."""
    shown = (
        MINIMAL
        + """\
events: {attribution_window: 24h, conversion_window: 7d, refund_window: 0d,
  late_data: 72h, bots: exclude}
breakdowns: [{by: category, level: 1, correction: bh, shrink: true}]
analysis: {test: sequential, alpha: 0.05, min_runtime: 7d, max_runtime: 28d}
verdict:
  ship: primary.wins and guardrails.hold
  reject: primary.loses or guardrails.harmed
  no_difference: primary.within_mde
learning: {pairs: {scope: [product, category], min_p_win: 0.5}, retrain: weekly}
ramp: [{traffic: 100%}]
approval: rules
unit: user_id
assignment: platform
policy: {choose: uniform, floor: 0%}
"""
    )
    assert parse_experiment(shown, path=HERE) == parse_experiment(MINIMAL, path=HERE)


def test_a_metric_knows_its_own_direction():
    """A cost metric decreases unless the YAML says otherwise."""
    for primary, direction in (
        ("cpa", "decrease"),
        ("{metric: cpa}", "decrease"),
        ("{metric: cpa, direction: increase}", "increase"),
        ("roi", "increase"),
    ):
        text = MINIMAL.replace("primary: ctr", f"primary: {primary}")
        assert parse_experiment(text, path=HERE).primary.direction == direction


def test_a_variant_overrides_one_key_of_the_policy():
    """What a variant says about its policy replaces the experiment's word, key by key."""
    text = MINIMAL.replace("b: {}", "b: {policy: {floor: 10%}}") + "policy: {floor: 5%}\n"
    experiment = parse_experiment(text, path=HERE)
    assert [variant.policy.floor for variant in experiment.variants] == [0.05, 0.1]


def test_rules_are_read_in_their_order():
    """A policy of rules says where what is preferred; a variant may say it for itself."""
    rules = "[{when: {category: [beauty], country: [CN]}, prefer: {surface: [marble]}}, "
    rules += "{prefer: {mood: [calm, warm], season: [any]}}]"
    text = MINIMAL.replace("b: {}", f"b: {{policy: {{choose: rules, rules: {rules}}}}}")
    experiment = parse_experiment(text, path=HERE)
    assert experiment.variants[0].policy == words.Policy()
    assert experiment.variants[1].policy.rules == (
        words.PolicyRule({"category": ("beauty",), "country": ("CN",)}, {"surface": ("marble",)}),
        words.PolicyRule({}, {"mood": ("calm", "warm"), "season": ("any",)}),
    )
    assert parse_experiment(write_experiment(experiment), path=HERE) == experiment


@pytest.mark.parametrize(
    ("policy", "told"),
    [
        ("{choose: thompson, floor: 5%}", []),
        ("{choose: uniform}", []),
        ("{choose: thompson}", ["no_floor"]),
        ("{choose: reward, floor: 0%}", ["no_floor"]),
    ],
)
def test_a_policy_that_learns_wants_a_floor(policy, told):
    """Without a floor a policy stops to learn about what it stops to show; that is told once."""
    checked = check_experiment(MINIMAL + f"policy: {policy}\n", path=HERE)
    assert [warning.code for warning in checked.warnings if "floor" in warning.code] == told


@pytest.mark.parametrize("path", BROKEN, ids=lambda path: path.stem)
def test_a_broken_file_gets_one_clear_error(path):
    """Each mistake is told once, with the code and the place that the file's first line states."""
    text = path.read_text(encoding="utf-8")
    expected = re.match(r"# (\w+) (\d+):(\d+)\n", text)
    checked = check_experiment(text, path=path)
    assert [(error.code, error.line, error.column) for error in checked.errors] == [
        (expected[1], int(expected[2]), int(expected[3]))
    ]
    assert checked.experiment is None
    assert checked.errors[0].remedy
    with pytest.raises(SpecError, match=re.escape(f"{path}:{expected[2]}:{expected[3]}: ")):
        parse_experiment(text, path=path)


@pytest.mark.parametrize("path", BROKEN, ids=lambda path: path.stem)
def test_the_schema_refuses_what_it_can_say(path):
    """The JSON Schema refuses every broken file that is YAML and breaks no rule between keys."""
    text = path.read_text(encoding="utf-8")
    try:
        data = _plain(text)
    except SpecError:
        return
    assert SCHEMA.is_valid(data) == (path.stem in BEYOND_SCHEMA)


@pytest.mark.parametrize("text", [FULL, MINIMAL, *(path.read_text() for path in EXAMPLES)])
def test_the_schema_accepts_what_is_valid(text):
    """The JSON Schema accepts the specification's example, the smallest file and our examples."""
    SCHEMA.validate(_plain(text))
    assert not check_experiment(text, path=HERE).errors


def test_the_schema_is_a_schema():
    """The JSON Schema is valid draft 2020-12, and every default in it obeys its own key."""
    jsonschema.Draft202012Validator.check_schema(experiment_schema())

    def walk(schema):
        for key, described in schema.get("properties", {}).items():
            if "default" in described:
                jsonschema.Draft202012Validator(described).validate(described["default"])
            assert described["description"].endswith("."), key
            walk(described)

    walk(experiment_schema())


def test_all_mistakes_of_a_file_are_told_at_once():
    """A file with several mistakes gets all of them, in the order of its lines."""
    text = """\
key: -bad-
owned: me
variants: {a: {control: maybe}, b: {weight: 200}}
metrics: {primary: clicks}
analysis: {test: fix, alpha: 2}
"""
    checked = check_experiment(text, path=HERE)
    assert [(error.code, error.line) for error in checked.errors] == [
        ("bad_value", 1),
        ("unknown_key", 2),
        ("wrong_type", 3),
        ("out_of_range", 3),
        ("unknown_value", 4),
        ("unknown_value", 5),
        ("out_of_range", 5),
    ]
    with pytest.raises(SpecError, match="6 more in this file"):
        parse_experiment(text, path=HERE)


@pytest.mark.parametrize(
    ("lines", "codes"),
    [
        ("analysis: {test: fixed}", []),
        ("analysis: {test: anytime}", []),
        ("", []),
        ("analysis: {test: fixed}\nassignment: external\nlayer: {name: feed}", ["no_effect"]),
        ("analysis: {test: fixed}\nverdict: {ship: primary.within_mde}", ["no_mde"]),
        ("verdict: {no_difference: primary.within_mde}", ["no_mde"]),
    ],
)
def test_what_is_seldom_meant_is_warned_of(lines, codes):
    """Allowed but doubtful settings are warnings: the file is valid all the same."""
    checked = check_experiment(MINIMAL + lines, path=HERE)
    assert not checked.errors
    assert [warning.code for warning in checked.warnings] == codes


@pytest.mark.parametrize(
    ("variant", "things"),
    [
        ("{creatives: {source: generated}}", None),
        (
            "{creatives: {source: generated}, policy: {choose: thompson, floor: 5%}}",
            "creatives and policy.choose",
        ),
        ("{creatives: {source: baseline}, policy: {choose: thompson, floor: 5%}}", None),
        ("{creatives: {source: generated}, policy: {floor: 5%}}", None),
        ("{creatives: {source: baseline, per_product: 2}}", None),
        (
            "{creatives: {source: baseline, per_product: 2}, policy: {choose: reward, floor: 5%}}",
            "creatives.per_product and policy.choose",
        ),
    ],
)
def test_variants_that_differ_in_two_things_are_warned_of(variant, things):
    """A lift that would mix two causes is named, with both; a floor goes with its policy."""
    text = MINIMAL.replace("{control: true}", "{control: true, creatives: {source: baseline}}")
    text = text.replace("b: {}", f"b: {variant}") + "analysis: {test: fixed}\n"
    warnings = check_experiment(text, path=HERE).warnings
    assert [warning.code for warning in warnings] == (["confounded"] if things else [])
    assert all(things in warning.message for warning in warnings)


def test_two_policies_of_one_name_may_differ_in_two_things():
    """Where both choose alike, a floor and the rules are things of their own."""
    rules = "choose: rules, rules: [{prefer: {surface: [%s]}}]"
    text = MINIMAL.replace(
        "{a: {control: true}, b: {}}",
        f"{{a: {{control: true, policy: {{{rules % 'marble'}, floor: 5%}}}},"
        f" b: {{policy: {{{rules % 'sand'}, floor: 10%}}}}}}",
    )
    (warning,) = check_experiment(text + "analysis: {test: fixed}\n", path=HERE).warnings
    assert "would mix policy.rules and policy.floor" in warning.message


def test_a_variant_without_weight_is_warned_of():
    """A variant with weight 0 is valid, and its line is named."""
    text = MINIMAL.replace("{control: true}", "{control: true, weight: 100}")
    text = text.replace("b: {}", "b: {weight: 0}") + "analysis: {test: fixed}\n"
    (warning,) = check_experiment(text, path=HERE).warnings
    assert (warning.code, warning.line, warning.column) == ("no_traffic", 2, 45)


def test_thirds_sum_to_a_hundred():
    """Weights written with many digits, or left out altogether, share the traffic in thirds."""
    written = MINIMAL.replace(
        "{a: {control: true}, b: {}}",
        "{a: {control: true, weight: 33.333333}, b: {weight: 33.333333}, c: {weight: 33.333334}}",
    )
    parse_experiment(written, path=HERE)
    equal = MINIMAL.replace("b: {}", "b: {}, c: {}")
    assert set(parse_experiment(equal, path=HERE).weights.values()) == {100 / 3}


def test_thousands_of_mistakes_are_all_listed():
    """A file of unknown keys only gets one error for each, and guesses for the first ones."""
    text = "".join(f"hypothesi{i}: 1\n" for i in range(10_000)) + MINIMAL
    errors = check_experiment(text, path=HERE).errors
    assert [error.line for error in errors] == list(range(1, 10_001))
    assert "hypothesis" in errors[0].remedy


def test_a_key_may_stand_in_one_file_only(tmp_path):
    """The second file with the same key gets the error, which names the first one."""
    (tmp_path / "one.yaml").write_text(MINIMAL)
    (tmp_path / "two.yml").write_text("# the same again\n" + MINIMAL)
    (tmp_path / "notes.txt").write_text("no YAML")
    (error,) = check_experiments(tmp_path)
    assert (error.code, error.line, error.column) == ("duplicate_experiment", 2, 6)
    assert error.path == tmp_path / "two.yml"
    assert "one.yaml, line 1" in error.message
    with pytest.raises(SpecError, match="already in one"):
        read_experiments(tmp_path)


def test_a_folder_is_read_by_key(tmp_path):
    """A folder's experiments come by their keys; a folder that is absent holds none."""
    (tmp_path / "x.yaml").write_text(MINIMAL)
    (tmp_path / "y.yaml").write_text(FULL)
    assert list(read_experiments(tmp_path)) == ["small", "beauty-generated-2026w48"]
    assert read_experiments(tmp_path / "absent") == {}


def test_the_hash_is_of_the_bytes():
    """A spec's hash is the sha256 of its bytes as they stand in the file."""
    assert spec_sha256(b"key: a\n") == (
        "e16f2cb6acc7884ab547fbbdfa075ff017de61f4651c31da1aa4752aa44baef1"
    )


_NAME = st.from_regex(r"\A[A-Za-z0-9][A-Za-z0-9._-]{0,20}\Z")
_LINE = st.text(
    st.characters(
        blacklist_categories=("Cs", "Cc", "Cn", "Zl", "Zp"), blacklist_characters="\ufeff"
    ),
    min_size=1,
    max_size=60,
).filter(str.strip)
_VARIANT_NAME = _LINE.filter(
    lambda text: re.fullmatch(r"[^\s/\\][^\t\n\r/\\]*", text) and len(text) < 40
)
_DURATION = st.integers(0, 90 * 24 * 60).map(lambda minutes: timedelta(minutes=minutes))
_SHARE = st.floats(0.0001, 1)
_RULE = st.sampled_from(["primary.wins", "not (primary.loses or guardrails.harmed)"])
_CREATIVES = st.none() | st.builds(
    words.CreativeChoice, source=st.just("baseline"), per_product=st.integers(1, 100)
)
_GENERATED = st.builds(
    words.CreativeChoice,
    source=st.just("generated"),
    generator=st.just("caig"),
    checkpoint=st.none() | st.sampled_from(["champion", "previous", "0123456789abcdef" * 4]),
    per_product=st.integers(1, 100),
)


@st.composite
def _variants(draw):
    names = draw(st.lists(_VARIANT_NAME, min_size=2, max_size=4, unique=True))
    cuts = sorted(
        draw(st.lists(st.integers(0, 100), min_size=len(names) - 1, max_size=len(names) - 1))
    )
    weights = [high - low for low, high in zip([0, *cuts], [*cuts, 100], strict=True)]
    control = draw(st.sampled_from(names))
    return tuple(
        words.Variant(
            name,
            float(weight),
            control=name == control,
            creatives=draw(_CREATIVES | _GENERATED),
            policy=draw(_POLICIES),
        )
        for name, weight in zip(names, weights, strict=True)
    )


_POLICIES = st.builds(
    words.Policy,
    choose=st.sampled_from(["uniform", "thompson", "contextual", "reward"]),
    floor=st.sampled_from([0.0, 0.05, 0.1]),
) | st.builds(
    words.Policy,
    choose=st.just("rules"),
    floor=st.sampled_from([0.0, 0.05]),
    rules=st.lists(
        st.builds(
            words.PolicyRule,
            when=st.sampled_from([{}, {"category": ("beauty/lip", "fashion")}]),
            prefer=st.sampled_from([{"surface": ("marble",)}, {"mood": ("calm", "1", "no")}]),
        ),
        min_size=1,
        max_size=3,
    ).map(tuple),
)


@st.composite
def _analysis(draw):
    shortest, longest = sorted(draw(st.lists(st.integers(1, 366), min_size=2, max_size=2)))
    return words.Analysis(
        test=draw(st.sampled_from(["sequential", "anytime", "fixed"])),
        alpha=draw(st.floats(0.0001, 0.5)),
        min_runtime=timedelta(days=shortest),
        max_runtime=timedelta(days=longest),
    )


_GUARDRAIL = st.builds(
    words.Guardrail,
    metric=st.sampled_from(sorted(METRICS)),
    non_inferiority_margin=_SHARE,
    min=st.none() | st.floats(-1e6, 1e6),
).map(
    # Less cost is better: an absolute lower bound of it is refused.
    lambda guard: replace(guard, min=None) if guard.metric == "cpa" else guard
)

_EXPERIMENT = st.builds(
    words.Experiment,
    key=_NAME,
    variants=_variants(),
    primary=st.builds(
        words.PrimaryMetric,
        metric=st.sampled_from(sorted(METRICS)),
        direction=st.sampled_from(["increase", "decrease"]),
        mde=st.none() | _SHARE,
    ),
    owner=st.none() | _LINE,
    hypothesis=st.none() | _LINE,
    layer=st.none() | st.builds(words.Layer, _NAME, _SHARE),
    unit=st.sampled_from(["user_id", "request_id", "product_id"]),
    assignment=st.sampled_from(["platform", "external"]),
    targeting=st.fixed_dictionaries(
        {},
        optional={
            "category": st.just(("beauty/lip", "yes")),
            "country": st.lists(st.sampled_from(["NO", "CN", "SG"]), min_size=1, unique=True).map(
                tuple
            ),
            "placement": st.just(("feed-3", "1")),
            "premium": st.booleans(),
            "age": st.just(NumberRange(min=18)) | st.just(NumberRange(below=0.5)),
            "no": st.just(("yes", "2")),
        },
    ),
    approval=st.just(words.Approval(by="human"))
    | st.builds(
        words.Approval,
        min_fit=st.sampled_from([0.0, 0.25, 0.6]),
        min_win=st.sampled_from([0.0, 0.5]),
        channels=st.sampled_from([(), ("feed", "app")]),
        countries=st.sampled_from([(), ("CN",)]),
    ),
    ramp=st.lists(st.integers(1, 100), min_size=1, max_size=4, unique=True).map(
        lambda steps: tuple(
            words.RampStep(step / 100, timedelta(hours=step), ("srm",)) for step in sorted(steps)
        )
    ),
    events=st.builds(
        words.EventWindows,
        *[_DURATION] * 4,
        bots=st.sampled_from(["exclude", "include"]),
    ),
    guardrails=st.lists(_GUARDRAIL, max_size=3, unique_by=lambda it: it.metric).map(tuple),
    breakdowns=st.lists(
        st.builds(
            words.Breakdown,
            by=st.sampled_from(["category", "segment", "channel", "country", "bots"]),
            level=st.integers(1, 10),
            correction=st.sampled_from(["bh", "by", "holm", "none"]),
            shrink=st.booleans(),
        ),
        max_size=3,
    ).map(tuple),
    analysis=_analysis(),
    verdict=st.builds(words.VerdictRules, _RULE, _RULE, _RULE),
    learning=st.builds(
        words.Learning,
        scope=st.sampled_from([("product",), ("category",), ("product", "category")]),
        min_p_win=st.floats(0.5, 1),
        retrain=st.sampled_from(["weekly", "never"]),
    ),
)


@settings(max_examples=150, suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(_EXPERIMENT)
def test_reading_undoes_writing(experiment):
    """parse(write(x)) == x for every experiment, and the schema accepts what is written."""
    text = write_experiment(experiment)
    assert parse_experiment(text, path=HERE) == experiment
    SCHEMA.validate(_plain(text))


def test_writing_says_only_what_differs():
    """The written form leaves out what holds anyway."""
    text = write_experiment(parse_experiment(MINIMAL, path=HERE))
    assert _plain(text) == {
        "key": "small",
        "variants": {"a": {"control": True, "weight": 50}, "b": {"weight": 50}},
        "metrics": {"primary": {"metric": "ctr"}},
    }


def test_a_moment_too_short_for_yaml_is_not_written():
    """A window with a fraction of a second is refused rather than rounded."""
    experiment = parse_experiment(MINIMAL, path=HERE)
    windows = words.EventWindows(late_data=timedelta(milliseconds=1))
    with pytest.raises(ValueError, match="fraction"):
        write_experiment(replace(experiment, events=windows))


@settings(max_examples=200, deadline=None)
@given(data=st.data())
def test_damaged_files_never_crash(data):
    """A valid file with a piece cut out or put in is valid or gets SpecErrors with a remedy."""
    start = data.draw(st.integers(0, len(FULL)))
    end = data.draw(st.integers(start, min(len(FULL), start + 30)))
    patch = data.draw(st.sampled_from(["", "{", "]", ": ", "\n", "- ", "1e9", "~", "[[[[", "é"]))
    checked = check_experiment(FULL[:start] + patch + FULL[end:], path=HERE)
    assert (checked.experiment is None) == bool(checked.errors)
    assert all(error.remedy and error.line for error in checked.errors)


_ANY = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3)
    ),
    max_leaves=5,
)


@settings(max_examples=200, deadline=None)
@given(key=st.sampled_from(sorted(_plain(FULL))), value=_ANY)
def test_any_value_in_any_place_is_judged_alike(key, value):
    """Whatever stands under a key, it is refused with an error, or parses and fits the schema."""
    data = {**_plain(FULL), key: value}
    checked = check_experiment(json.dumps(data), path=HERE)
    if checked.experiment is None:
        assert checked.errors
    else:
        assert list(SCHEMA.iter_errors(data)) == []
