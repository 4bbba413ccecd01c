"""Where units are pseudonyms, the service decides by them and writes nothing else."""

import pytest

from abplatform.domain.assignment import assign
from abplatform.logs.privacy import pseudonyms_of
from abplatform.traffic.config import build_config
from abplatform.workspace import open_workspace


@pytest.fixture
def secret_shop(shop, tmp_path):
    """The shop with pseudonyms and a forced unit."""
    (tmp_path / "pseudonyms.key").write_text("k" * 64)
    key = tmp_path / "pseudonyms.key"
    (shop.root / "abp.yaml").write_text(
        f"min_free: 1%\nprivacy: {{pseudonyms: {{key_file: '{key}'}}}}\n"
    )
    spec = shop.experiments / "lamps.yaml"
    spec.write_text(spec.read_text() + "forced: {generated: [qa-1], baseline: [qa-2]}\n")
    return open_workspace(shop.root)


def test_units_are_assigned_and_written_by_their_pseudonyms(secret_shop, serve):
    """The variant is the pseudonym's, as the log will say; no byte on the disk holds the id."""
    server = serve()
    units = [f"person-{n}@example.com" for n in range(12)]
    answers = [server.decide(unit) for unit in units]
    forced = [server.decide(unit) for unit in ("qa-1", "qa-2")]
    assert [one["reason"] for one in forced] == ["forced", "forced"]
    assert [one["assignments"][0]["variant"] for one in forced] == ["generated", "baseline"]
    attributes = {"attributes": {"who": units[0]}, "product_ids": ["p1"]}
    server.decide(units[0], request_id=units[0], context=attributes)
    for answer in answers:
        assert server.call(answer["impression_url"])[0] == 200
    pseudonyms = pseudonyms_of(secret_shop)
    plan = build_config(secret_shop).experiments["lamps"].plan
    for unit, answer in zip(units, answers, strict=True):
        given = assign(plan, pseudonyms.stored(unit)).variant
        assert answer["assignments"][0]["variant"] == given
    rows = server.landed()
    assert {row["unit_id"] for row in rows} == set(map(pseudonyms.stored, [*units, "qa-1", "qa-2"]))
    assert all(row["propensity"] == 1 / len(row["eligible"]) for row in rows if "eligible" in row)
    assert any("eligible" in row for row in rows)
    files = [path for path in secret_shop.landing.rglob("*") if path.is_file()]
    assert not [path for path in files if b"person-" in path.read_bytes()]
    document = server.json("/v1/assignments")[1]
    assert document["pseudonyms"] == pseudonyms.fingerprint
    assert document["experiments"][0]["forced"] == {
        pseudonyms.stored("qa-1"): "generated",
        pseudonyms.stored("qa-2"): "baseline",
    }
