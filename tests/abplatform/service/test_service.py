"""The decision service over a real socket: decide, record, refuse."""

import time


def test_a_decision_is_answered_and_recorded_with_what_follows(common):
    """Decision, impression and click land, the click names the impression, each of them once."""
    answer = common.decide("anna")
    assert answer["action"] == "show"
    assert answer["reason"] == "assigned"
    assert [common.call(answer["impression_url"])[0] for _ in range(2)] == [200, 200]
    assert [common.call(answer["click_url"])[0] for _ in range(2)] == [204, 409]
    rows = [row for row in common.landed() if answer["decision_id"] in row["event_id"]]
    by_type = {row["event_type"]: row for row in rows}
    assert sorted(row["event_type"] for row in rows) == [
        "click",
        "decision",
        "impression",
        "impression",
    ]
    assert by_type["click"]["impression_id"] == by_type["impression"]["event_id"]
    assert by_type["impression"]["propensity"] == answer["propensity"]
    assert by_type["decision"]["config"] == answer["config"]


def test_a_picture_is_the_master_and_kept_no_longer_than_the_answer(common):
    """The URL gives the master's bytes; caches may keep them for a minute at most."""
    answer = common.decide()
    status, body, headers = common.call(answer["creative"]["url"])
    master = common.workspace.creatives / f"{answer['creative']['id']}.webp"
    assert (status, body) == (200, master.read_bytes())
    assert int(headers["cache-control"].rpartition("=")[2]) <= 60


def test_an_unknown_experiment_gets_the_fallback(common):
    """Whoever asks for an experiment that nobody knows sees the baseline, marked as fallback."""
    answer = common.decide(experiment="nobody-knows")
    assert (answer["reason"], answer["assignments"]) == ("fallback", [])
    assert answer["action"] == "show"


def test_a_batch_is_answered_in_order_by_one_config(common):
    """As many answers as questions, in order, and all of one version of the config."""
    asked = [
        {"unit_id": f"u{n}", "experiment": "lamps", "context": {"product_ids": ["p1"]}}
        for n in range(300)
    ]
    status, answers = common.json("/v1/decide/batch", asked)
    assert status == 200
    alone = [common.decide(f"u{n}")["assignments"] for n in range(20)]
    assert [one["assignments"] for one in answers[:20]] == alone
    assert len(answers) == 300
    assert len({one["config"] for one in answers}) == 1


def test_the_assignments_document_is_sent_once(common):
    """Clients that assign by themselves get a document and its tag, and 304 while it stays."""
    status, body, headers = common.call("/v1/assignments")
    assert status == 200
    assert b'"lamps"' in body
    again, nothing, _ = common.call("/v1/assignments", None, **{"If-None-Match": headers["etag"]})
    assert (again, nothing) == (304, b"")


def test_readiness_and_metrics_tell_of_the_work(common):
    """The service is ready once it has a config and a landing, and counts what it decides."""
    common.decide()
    deadline = time.monotonic() + 5
    while common.json("/readyz")[0] != 200 and time.monotonic() < deadline:
        time.sleep(0.05)
    assert common.json("/readyz")[1]["status"] == "ready"
    assert b'abp_decisions_total{reason="assigned"}' in common.call("/metrics")[1]


def test_an_impression_with_many_attributes_is_reported_all_the_same(common):
    """What is too long for a URL stays in the decision; the impression counts without it."""
    many = {f"word {n}": "long" * 50 for n in range(100)}
    few = {"tier": "gold"}
    for told, kept in ((many, None), (few, few)):
        asked = {"product_ids": ["p1"], "attributes": told, "category": "\u706f" * 1024}
        answer = common.decide("talkative", context=asked)
        assert len(answer["impression_url"]) < 8192
        assert common.call(answer["impression_url"])[0] == 200
        rows = [row for row in common.landed() if row.get("decision_id") == answer["decision_id"]]
        by_kind = {row["event_type"]: row for row in rows}
        assert by_kind["decision"]["attributes"] == told
        assert by_kind["impression"].get("attributes") == kept


def test_the_longest_names_fit_into_an_impression(common):
    """Every name at its longest, four bytes a letter, makes a URL that is taken."""
    longest = "\U0001f4a1" * 1024
    names = dict.fromkeys(("country", "channel", "placement", "segment"), longest)
    answer = common.decide(longest, context={"product_ids": ["p1"], **names})
    assert common.call(answer["impression_url"])[0] == 200
