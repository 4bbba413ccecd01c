import json
from dataclasses import replace
from pathlib import Path

import pytest

from abplatform.domain.assignment import assign
from abplatform.domain.targeting import NumberRange
from abplatform.errors import ServiceError
from abplatform.traffic.assignments import assignments_document, entity_tag, read_assignments
from abplatform.traffic.config import build_config
from abplatform.traffic.registry import Registry

VECTORS = json.loads((Path(__file__).parents[1] / "vectors/assignment.json").read_text("utf-8"))


def document_of(case):
    """A published case as one entry of the document; what it leaves out is what is usual."""
    entry = {key: value for key, value in case.items() if key not in {"about", "units"}}
    entry["phase"] = {"starts_at": "2026-11-02T00:00:00Z", "weights": {}, **case["phase"]}
    names = {"control": next(iter(case["phase"]["variants"])), "spec_sha256": "0" * 64}
    return json.dumps({"version": "v", "experiments": [names | entry]}).encode()


@pytest.mark.parametrize("case", VECTORS["assignments"], ids=lambda case: case["about"])
def test_published_assignments_hold_through_the_document(case):
    """Every published assignment comes out of plans that were read from JSON."""
    plan = read_assignments(document_of(case)).experiments[case["experiment"]].plan
    for row in case["units"]:
        given = assign(plan, row["unit_id"], row.get("context"))
        assert [given.variant, given.reason] == [row["variant"], row["reason"]]
        assert (given.bucket, given.layer_bucket) == (row["bucket"], row["layer_bucket"])


def test_a_plan_survives_the_document_whole(workspace):
    """What is read equals what was written: phase, typed targeting, forced units and control."""
    config = build_config(workspace)
    read = read_assignments(assignments_document(config))
    served = config.experiments["lamps"]
    assert read.experiments["lamps"].plan == served.plan
    assert served.plan.targeting["age"] == NumberRange(min=18)
    assert read.experiments["lamps"].control == "baseline"
    assert read.experiments["lamps"].spec_sha256 == served.spec_sha256
    assert read.layers == {"feed": ("lamps",)}
    assert read.version == config.version


def test_the_tag_names_the_content(workspace):
    """The same plans have the same tag, and a pause has another."""
    before = assignments_document(build_config(workspace))
    assert entity_tag(before) == entity_tag(assignments_document(build_config(workspace)))
    Registry(workspace).pause("lamps", at=workspace.clock(), who="t")
    after = assignments_document(build_config(workspace))
    assert entity_tag(before) != entity_tag(after)


def test_nobody_is_assigned_while_experiments_are_halted(workspace):
    """The switch for all experiments stops local assignment too, forced units among them."""
    halted = replace(build_config(workspace), halted=True)
    plan = read_assignments(assignments_document(halted)).experiments["lamps"].plan
    known = {"country": "DE", "age": 30, "member": True}
    assert {assign(plan, f"u{n}", known).variant for n in range(50)} == {None}
    assert assign(plan, "qa-1", known).variant is None


@pytest.mark.parametrize(
    ("broken", "named"),
    [
        (b"<html>", "JSON is malformed"),
        (b"[]", "Expected `object`"),
        (b'{"version": "v", "experiments": [{"experiment": "e"}]}', r"\$.experiments\[0\]"),
        (b'{"version": "v", "layers": {"feed": ["e"]}, "experiments": []}', "names 'e', which"),
    ],
)
def test_what_is_no_document_is_named(broken, named):
    """The error says where it comes from, what is wrong and what to do."""
    with pytest.raises(ServiceError, match=named) as caught:
        read_assignments(broken, origin="plans.json")
    assert caught.value.place == "plans.json"
    assert "abp serve" in str(caught.value)
