"""Creatives on their way to an ad network, and its reports on their way back."""

import csv
import io
import json
import sys
import zipfile
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from abplatform.cli.main import main
from abplatform.creatives import read_lineage
from abplatform.creatives.texts import AdText, append_texts
from abplatform.errors import CatalogueError, RegistryError
from abplatform.settings import Channel
from abplatform.traffic.ads import Ad, read_token, token_of
from abplatform.traffic.service.tokens import Signer, read_key
from abplatform.workspace import open_workspace
from generators.drawn import draw_catalogue
from generators.generate import generate_creatives
from generators.intake import read_products
from generators.renderers.placing import Rendered
from generators.renderers.studio import Studio
from generators.renditions import make_renditions, rendition_path

SETTINGS = """\
channels:
  feed: {sizes: [160x160, 160x200], click_url: 'https://shop.example/{product_id}?a={token}'}
"""
EXPERIMENT = """\
key: banners
targeting: {category: [beauty]}
approval: human
variants:
  baseline: {control: true, weight: 50, creatives: {source: baseline}}
  generated: {weight: 50, creatives: {source: generated, generator: caig, per_product: 2}}
metrics: {primary: ctr}
"""
REPORT = """\
event: aggregate
ad_id: {field: Ad ID, channel: feed}
fields: {day: Day, impressions: Impr, clicks: Clicks}
"""


@pytest.fixture
def abp(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("USER", "ada")
    monkeypatch.delenv("ABP_WORKSPACE", raising=False)

    def call(*words):
        monkeypatch.setattr(sys, "argv", ["abp", *map(str, words)])
        with pytest.raises(SystemExit) as ended:
            main()
        printed = capsys.readouterr()
        return ended.value.code or 0, printed.out, printed.err

    return call


@pytest.fixture
def shop(abp, tmp_path):
    """A workspace in which an experiment runs, all but one of whose creatives are approved."""
    (tmp_path / "abp.yaml").write_text(SETTINGS)
    (tmp_path / "experiments").mkdir()
    (tmp_path / "experiments/banners.yaml").write_text(EXPERIMENT)
    draw_catalogue(tmp_path / "catalog", products=2)
    made = json.loads(abp("generate", "--per-product", 2, "--json")[1])["creatives"]
    drawn = [row["creative_id"] for row in made if row["source"] == "generated"]
    assert len(drawn) == 4
    assert abp("creatives", "approve", *drawn[1:])[0] == 0
    code, _, err = abp("start", "banners", "--at", "2026-11-01")
    assert (code, err) == (0, "")
    return made


def read_archive(path):
    with zipfile.ZipFile(path) as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    return list(csv.DictReader(io.StringIO(files.pop("ads.csv").decode()))), files


def test_counts_come_back_to_their_creatives(abp, shop, tmp_path):
    """From generate to the scorecard by way of a network's own ad ids, no count is lost."""
    assert abp("export", "creatives", "banners", "--channel", "feed")[0] == 0
    rows, files = read_archive(tmp_path / "banners-feed.zip")
    unapproved = next(row["creative_id"] for row in shop if row["source"] == "generated")
    assert unapproved not in {row["creative_id"] for row in rows}
    assert {row["file"] for row in rows} == set(files)
    assert {row["product_id"] for row in rows} == {shop[0]["product_id"]}
    assert len({row["creative_id"] for row in rows}) == 2
    for row in rows:
        with Image.open(io.BytesIO(files[row["file"]])) as picture:
            assert [str(side) for side in picture.size] == [row["width"], row["height"]]
            assert row["creative_id"].encode() in picture.info["xmp"]
        assert len(files[row["file"]]) <= 150_000
        assert row["click_url"] == f"https://shop.example/{row['product_id']}?a={row['ad']}"
        assert row["valid_until"].startswith("2026-11-29")

    counts = {}
    for number, row in enumerate(rows):
        ad = (row["variant"], row["creative_id"])
        row["ad_id"] = counts.setdefault(ad, (f"7{len(counts)}", 1000 + number, 10 + number))[0]
    with (tmp_path / "sheet.csv").open("w", newline="") as file:
        sheet = csv.DictWriter(file, rows[0])
        sheet.writeheader()
        sheet.writerows(rows)
    answers = [json.loads(abp("ingest", "--ids", "sheet.csv", "--json")[1]) for _ in range(2)]
    assert [answer["new"] for answer in answers] == [len(counts), 0]

    lines = [f"{ad_id},2026-11-02,{shown},{clicks}" for ad_id, shown, clicks in counts.values()]
    text = "\n".join(["Ad ID,Day,Impr,Clicks", *lines, "999,2026-11-02,5,1"])
    (tmp_path / "report.csv").write_text(text + "\n")
    (tmp_path / "map.yaml").write_text(REPORT)
    words = ("ingest", "report.csv", "--mapping", "map.yaml", "--json")
    first, again = (json.loads(abp(*words)[1]) for _ in range(2))
    assert (first["accepted"], first["reasons"]) == (len(counts), {"unknown_ad": 1})
    assert list(first["by_source"]) == ["feed"]
    assert (again["accepted"], again["duplicate"]) == (0, again["received"])

    card = json.loads(abp("analyze", "banners", "--json")[1])
    overall = next(row for row in card["lifts"] if row["category"] is None)
    for name, side in (("baseline", "control"), ("generated", "treatment")):
        told = [count for (variant, _), count in counts.items() if variant == name]
        assert overall[f"n_{side}"] == sum(shown for _, shown, _ in told)
        assert overall[f"k_{side}"] == sum(clicks for _, _, clicks in told)


def test_the_same_ads_give_the_same_archive(abp, shop, tmp_path):
    """A second export draws nothing and writes the same bytes."""
    words = ("export", "creatives", "banners", "--channel", "feed")
    assert abp(*words, "--out", "a.zip")[0] == 0
    root = tmp_path / "data/creatives"
    drawn = {path: path.stat().st_mtime_ns for path in root.glob("renditions/*/*")}
    assert drawn
    answer = json.loads(abp(*words, "--out", "b.zip", "--json")[1])
    assert answer["pictures"] == len(drawn)
    assert {path: path.stat().st_mtime_ns for path in root.glob("renditions/*/*")} == drawn
    assert (tmp_path / "a.zip").read_bytes() == (tmp_path / "b.zip").read_bytes()


def test_only_what_is_approved_there_is_booked(abp, shop, tmp_path):
    """An approval for another channel or country, or for a time, holds for just that."""
    first = shop[0]["product_id"]
    mine = [row["creative_id"] for row in shop if row["product_id"] == first][1:]
    abp("creatives", "approve", mine[0], "--country", "CN", "--until", "2026-11-27T00:00Z")
    assert abp("creatives", "reject", mine[1], "--reason", "ugly", "--channel", "feed")[0] == 0
    words = ("export", "creatives", "banners", "--channel", "feed", "--out", "a.zip")
    booked = {}
    for country in ("CN", "US"):
        assert abp(*words, "--country", country)[0] == 0
        rows, _ = read_archive(tmp_path / "a.zip")
        booked[country] = {
            (row["creative_id"], row["valid_until"])
            for row in rows
            if row["variant"] == "generated"
        }
    assert booked["CN"] == {(mine[0], "2026-11-27T00:00:00+00:00")}
    assert {name for name, _ in booked["US"]} == {shop[0]["creative_id"]}, "the baseline stands in"


def test_texts_reach_the_sheet_while_they_are_true(abp, shop, tmp_path):
    """Written texts stand in the sheet, and one that quotes a former price does not."""
    creative = next(row["creative_id"] for row in shop if row["source"] == "baseline")
    made = [
        AdText(creative, shop[0]["product_id"], text, "en", "m/1", quotes)
        for text, quotes in (("Only 1 USD!", {"price": "1 USD"}), ("x" * 51, {}), ("Soft.", {}))
    ]
    append_texts(tmp_path / "data/creatives", made)
    assert abp("export", "creatives", "banners", "--channel", "feed")[0] == 0
    rows, _ = read_archive(tmp_path / "banners-feed.zip")
    assert {row["text"] for row in rows if row["creative_id"] == creative} == {"Soft."}
    assert {row["text"] for row in rows if row["creative_id"] != creative} == {""}


@pytest.mark.parametrize("text", ['=HYPERLINK("http://x.example")', "+1", "-1 today", "@SUM(A1)"])
def test_no_cell_of_the_sheet_is_a_formula(abp, shop, tmp_path, text):
    """A text that a spreadsheet would calculate stands there as text."""
    creative = next(row["creative_id"] for row in shop if row["source"] == "baseline")
    append_texts(
        tmp_path / "data/creatives",
        [AdText(creative, shop[0]["product_id"], text, "en", "m/1", {})],
    )
    assert abp("export", "creatives", "banners", "--channel", "feed")[0] == 0
    rows, _ = read_archive(tmp_path / "banners-feed.zip")
    assert f"'{text}" in {row["text"] for row in rows}
    assert not [cell for row in rows for cell in row.values() if cell.startswith(tuple("=+-@"))]


def test_generate_draws_for_channels(abp, shop, tmp_path):
    """Every creative lies there at the channel's sizes; a rerun keeps them, export uses them."""
    folder = tmp_path / "data/creatives/renditions"
    answer = json.loads(abp("generate", "--per-product", 2, "--channels", "feed", "--json")[1])
    assert answer["channels"] == {"feed": {"pictures": 12, "unfit": []}}
    files = {path: path.stat().st_mtime_ns for path in sorted(folder.rglob("*.jpg"))}
    assert len(files) == 12
    said = abp("generate", "--per-product", 2, "--channels", " feed ")[1]
    assert "channel feed   12 pictures" in said
    assert abp("export", "creatives", "banners", "--channel", "feed")[0] == 0
    assert files == {path: path.stat().st_mtime_ns for path in sorted(folder.rglob("*.jpg"))}


def test_a_channel_that_is_not_there_is_refused_before_anything_is_drawn(abp, tmp_path):
    """The nearest name is told."""
    products = draw_catalogue(tmp_path / "catalog", products=1)
    code, _, err = abp("generate", "--products", products, "--out", "ads", "--channels", "fed")
    assert code == 1
    assert "no channel 'fed'" in err
    assert "feed" in err
    assert not (tmp_path / "ads").exists()


def test_what_cannot_be_booked_is_refused(abp, shop, tmp_path):
    """An unknown channel, a missing address and an experiment that is over are each one error."""
    code, _, err = abp("export", "creatives", "banners", "--channel", "fed")
    assert (code, "did you mean 'feed'" in err.lower()) == (1, True), err
    code, _, err = abp("export", "creatives", "banners", "--channel", "wide")
    assert (code, "click_url" in err) == (1, True), err
    abp("stop", "banners")
    code, _, err = abp("export", "creatives", "banners", "--channel", "feed")
    assert (code, "is not running" in err) == (1, True), err
    assert not list(tmp_path.glob("*.zip"))


@pytest.fixture
def signer(tmp_path):
    (tmp_path / "abp.yaml").write_text("{}\n")
    workspace = open_workspace(tmp_path)
    return Signer(read_key(workspace.data), workspace.clock)


AD = Ad("banners", "generated", "feed", "c" * 64, "p1", "beauty/lip")


def sheet_of(tmp_path, *rows):
    (tmp_path / "ids.csv").write_text("\n".join(["ad,ad_id", *rows]) + "\n")
    return tmp_path / "ids.csv"


def test_an_ad_keeps_its_name(signer, tmp_path):
    """A token gives the ad back; changed, or signed for something else, it names none."""
    until = open_workspace(tmp_path).clock()
    token = token_of(AD, signer, until=until)
    assert read_token(token, signer) == AD
    click = signer.sign("click", b"x", expires=2**40)
    for wrong in (token[:-4] + "AAAA", click, "", "é"):
        with pytest.raises(RegistryError, match="names no ad"):
            read_token(wrong, signer)


def test_ids_that_mean_two_things_are_refused(abp, signer, tmp_path):
    """A forged ad, an id of two ads and an ad of two ids are told, and nothing is kept."""
    until = open_workspace(tmp_path).clock()
    one = token_of(AD, signer, until=until)
    other = token_of(
        Ad(*[*("banners", "baseline", "feed"), "d" * 64, "p1", "x"]), signer, until=until
    )
    for rows, told in [
        ([f"{one},1", "forged,2"], "ids.csv:3: this names no ad"),
        ([f"{one},1", f"{other},1"], "means cccccccccccc in banners/generated already"),
        ([f"{one},1", f"{one},2"], "has two ids in feed: '1' and '2'"),
        ([f"{one},"], "no row has an ad_id"),
    ]:
        code, _, err = abp("ingest", "--ids", sheet_of(tmp_path, *rows))
        assert (code, told in err) == (1, True), err
        kept = tmp_path / "data/landing/ads.jsonl"
        assert not kept.exists() or not kept.read_bytes()
    assert abp("ingest", "--ids", sheet_of(tmp_path, f"{one},1", f"{other},2"))[0] == 0
    code, _, err = abp("ingest", "--ids", tmp_path / "abp.yaml")
    assert (code, "no column 'ad'" in err) == (1, True), err


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    folder = tmp_path_factory.mktemp("drawn")
    ready = read_products(draw_catalogue(folder / "catalog", products=1)).ready
    run = generate_creatives(ready, generator="caig", seed=3, root=folder / "creatives")
    return folder / "creatives", ready[0], run.lineages[0]


@pytest.mark.parametrize("form", ["jpeg", "webp"])
def test_a_rendition_is_its_master_at_another_size(drawn, tmp_path, form):
    """At the master's own size a rendition shows the master; others keep the product whole."""
    root, product, lineage = drawn
    channel = Channel(((512, 512), (400, 500), (360, 640), (640, 360)), form=form)
    made = make_renditions(
        tmp_path, product, lineage, channel, channel_name="feed", renderers=[Studio()]
    )
    with Image.open(made[512, 512]) as picture:
        shown = np.asarray(picture.convert("RGB"), dtype=float)
    with Image.open(root / f"{lineage.creative_id}.webp") as picture:
        master = np.asarray(picture.convert("RGB"), dtype=float)
    assert np.abs(shown - master).mean() < 4
    for size, path in made.items():
        with Image.open(path) as picture:
            assert (picture.size, picture.format) == (size, form.upper())
            assert b"compositeSynthetic" in picture.info["xmp"]
        assert path == rendition_path(tmp_path, lineage.creative_id, "feed", size, form)


def test_a_heavy_picture_gets_lighter_by_quality_then_by_size(drawn, tmp_path):
    """The cap holds: first quality goes, then pixels, then nothing is written."""
    _, product, lineage = drawn
    sizes = {}
    for cap in (150_000, 20_000, 6_000):
        channel = Channel(((512, 512),), max_bytes=cap)
        made = make_renditions(
            tmp_path, product, lineage, channel, channel_name="feed", renderers=[Studio()]
        )
        data = made[512, 512].read_bytes()
        assert len(data) <= cap
        with Image.open(io.BytesIO(data)) as picture:
            sizes[cap] = picture.size
    assert sizes[150_000] == (512, 512)
    assert 512 > sizes[6_000][0] >= 150
    with pytest.raises(CatalogueError, match="heavier than 300 bytes"):
        make_renditions(
            tmp_path / "tiny",
            product,
            lineage,
            Channel(((512, 512),), max_bytes=300),
            channel_name="feed",
            renderers=[Studio()],
        )


class Cramped(Studio):
    """A studio that puts the product into the corner."""

    def render(self, product, scene=None, *, seed, size=(512, 512)):
        """Move the placement alone; the pixels do not matter here."""
        made = super().render(product, scene, seed=seed, size=size)
        return Rendered(made.pixels, made.cutout, replace(made.placement, x=0))


def test_a_rendition_needs_its_photograph_renderer_and_safe_area(drawn, tmp_path):
    """What would show another product, another look, or a covered product is refused."""
    _, product, lineage = drawn
    channel = Channel(((160, 160),))
    for wrong, renderers, told in [
        (replace(product, image_sha256="0" * 64), [Studio()], "another photograph"),
        (product, [], "was drawn by studio/"),
        (product, [Cramped()], "keeps 8% to itself"),
    ]:
        with pytest.raises(CatalogueError, match=told):
            make_renditions(
                tmp_path, wrong, lineage, channel, channel_name="feed", renderers=renderers
            )
    assert not list(tmp_path.rglob("*.jpg"))


def test_lineage_survives_renditions(abp, shop, tmp_path):
    """Renditions bear their master's id and add no creatives."""
    before = read_lineage(tmp_path / "data/creatives")
    assert abp("export", "creatives", "banners", "--channel", "feed")[0] == 0
    assert read_lineage(tmp_path / "data/creatives") == before
    folders = {path.name for path in (tmp_path / "data/creatives/renditions").iterdir()}
    assert folders <= set(before)
