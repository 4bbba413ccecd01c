import csv
import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from abplatform.cli.main import abp
from abplatform.domain.catalog import Category, Product
from abplatform.errors import CatalogueError, SpecError
from generators.brand import NO_BRAND, BrandKit, Logo, dress, read_brands
from generators.generate import generate_creatives
from generators.renderers.studio import Studio
from generators.scene import Scene

KIT = """brand: Nordlys
palette: [sage, cream, sand]
logo: {path: logo.png, corner: top right, width: 14%, clear_space: 40%}
words: {forbidden: [cheap], mandatory: [Nordlys]}
scenes: {forbidden: ["neon light", "city lights backdrop, walnut surface"]}
disclaimer: Prices while stocks last.
ai_label: AI generated
"""


@pytest.fixture
def folder(tmp_path):
    brands = tmp_path / "brands"
    brands.mkdir()
    (brands / "nordlys.yaml").write_text(KIT)
    mark = np.zeros((40, 80, 4), np.uint8)
    mark[:, :] = (200, 20, 60, 255)
    Image.fromarray(mark).save(brands / "logo.png")
    return tmp_path


def branded(ready, brand="Nordlys"):
    attributes = {**ready.product.attributes, "brand": brand}
    return replace(ready, product=replace(ready.product, attributes=attributes))


def test_a_kit_is_found_by_brand_and_country(folder):
    """The most particular kit that fits holds; products of other brands have none."""
    (folder / "brands" / "cn.yaml").write_text("brand: Nordlys\ncountry: CN\nprices: false\n")
    brands = read_brands(folder)
    mine = Product("p", "T", Category("x"), "p.png", attributes={"brand": "Nordlys"})
    assert not brands.kit(mine, "CN").prices
    assert brands.kit(mine, "NO").disclaimer == brands.kit(mine).disclaimer != ""
    assert brands.kit(replace(mine, attributes={})) is NO_BRAND


def test_scenes_and_words_are_refused_by_rule(folder):
    """Each rule that is broken is named, and what breaks none is let through."""
    kit = read_brands(folder).kits[0]
    assert kit.refuses_scene(Scene(palette="sage")) is None
    assert kit.refuses_scene(Scene(palette="coral")) == "brand:palette"
    assert kit.refuses_scene(Scene(light="neon")) == "brand:forbidden_scene"
    dark = Scene(backdrop="city lights", surface="walnut")
    assert kit.refuses_scene(dark) == "brand:forbidden_scene"
    assert kit.refuses_scene(replace(dark, surface="oak")) is None
    only = replace(kit, allowed_scenes=({"surface": "oak"},))
    assert only.refuses_scene(Scene()) == "brand:allowed_scene"
    assert kit.refuses_text("Nordlys, fresh") == ()
    assert kit.refuses_text("so CHEAP") == (
        "brand:forbidden_word:cheap",
        "brand:mandatory_word:Nordlys",
    )


@pytest.mark.parametrize("size", [(256, 256), (144, 256), (256, 144)])
def test_a_dressed_picture_keeps_its_product(size, folder, ready):
    """Logo, disclaimer and label are there, and no pixel of the product's box has changed."""
    kit = read_brands(folder).kits[0]
    plain = Studio().render(ready[0], Scene(palette="sage"), seed=1, size=size)
    found = dress(plain, kit)
    changed = (found.rendered.pixels != plain.pixels).any(axis=2)
    place = plain.placement
    box = changed[place.y : place.y + place.height, place.x : place.x + place.width]
    assert not box.any()
    written = ("brand:logo_clear_space", "brand:disclaimer", "brand:ai_label")
    right, bottom = size[0] // 2, size[1] // 2
    shown = (changed[:bottom, right:], changed[bottom:, :right], changed[bottom:, right:])
    for rule, part in zip(written, shown, strict=True):
        assert part.any() or rule in found.broken
    assert not found.broken or size != (256, 256)


def test_a_logo_without_room_is_told(ready, folder):
    """A logo whose clear space the product takes is left out, and the rule is named."""
    kit = BrandKit(logo=Logo(folder / "brands" / "logo.png", width=0.9), sha256="x")
    plain = Studio().render(ready[0], Scene(), seed=1, size=(128, 128))
    found = dress(plain, kit)
    assert found.broken == ("brand:logo_clear_space",)
    assert np.array_equal(found.rendered.pixels, plain.pixels)


def test_generated_creatives_hold_the_kit(tmp_path, folder, ready):
    """What is drawn for a brand has its palette and bears its kit; others bear none."""
    brands = read_brands(folder)
    run = generate_creatives(
        [branded(ready[0]), ready[1]],
        generator="caig",
        per_product=3,
        seed=4,
        root=tmp_path / "out",
        brands=brands,
    )
    mine = [row for row in run.lineages if row.product_id == ready[0].product.product_id]
    others = [row for row in run.lineages if row.product_id == ready[1].product.product_id]
    assert mine
    assert {row.scene["palette"] for row in mine} <= {"sage", "cream", "sand"}
    assert {row.brand["sha256"] for row in mine} == {brands.kits[0].sha256}
    assert all(not row.brand for row in others)
    again = generate_creatives(
        [branded(ready[0])],
        generator="caig",
        per_product=3,
        seed=4,
        root=tmp_path / "out",
        brands=brands,
    )
    assert again.drawn == 0


def test_a_changed_file_is_another_kit(folder):
    """Every byte of kit and logo counts."""
    before = read_brands(folder).kits[0].sha256
    Image.new("RGBA", (40, 20), "blue").save(folder / "brands" / "logo.png")
    assert read_brands(folder).kits[0].sha256 != before


@pytest.mark.parametrize(
    ("text", "complaint", "line"),
    [
        ("brnd: x\n", "brand", 1),
        ("brand: x\nscenes:\n  forbidden: [purple haze]\n", "names no part", 3),
        ("brand: x\npalette: [mauve]\n", "mauve", 2),
        ("brand: x\nlogo: {path: l.png, corner: middle}\n", "middle", 2),
    ],
)
def test_a_bad_kit_is_named_by_line(tmp_path, text, complaint, line):
    """A mistake in a kit is named with its file and line."""
    (tmp_path / "brands").mkdir()
    (tmp_path / "brands" / "x.yaml").write_text(text)
    with pytest.raises(SpecError, match=complaint) as caught:
        read_brands(tmp_path)
    assert caught.value.line == line


def test_missing_files_and_twins_are_refused(tmp_path):
    """A logo that is not there, letters that cannot be written and a kit told twice are errors."""
    brands = tmp_path / "brands"
    brands.mkdir()
    (brands / "a.yaml").write_text("logo: nowhere.png\n")
    with pytest.raises(CatalogueError, match="logo"):
        read_brands(tmp_path)
    (brands / "a.yaml").write_text("brand: x\n")
    (brands / "b.yaml").write_text("brand: x\n")
    with pytest.raises(SpecError, match=r"a.yaml speaks of this brand"):
        read_brands(tmp_path)


def test_letters_beyond_the_font_are_refused(ready):
    """A disclaimer that the built-in font cannot write asks for a font."""
    plain = Studio().render(ready[0], Scene(), seed=1, size=(96, 96))
    with pytest.raises(CatalogueError, match="font"):
        dress(plain, BrandKit(disclaimer="仅限今日", sha256="x"))


def test_a_changed_kit_rejects_what_is_live(folder, catalogue, tmp_path, monkeypatch):
    """After a kit changed, what it refuses is rejected once, and a person may let it in again."""
    shop = tmp_path / "shop"
    (shop / "catalog").mkdir(parents=True)
    (shop / "abp.yaml").write_text("{}\n")
    shutil.copytree(folder / "brands", shop / "catalog" / "brands")
    with (catalogue / "products.csv").open() as file:
        row = next(csv.DictReader(file))
    shutil.copy(catalogue / row["image"], shop / "catalog")
    row["attributes"] = json.dumps({"brand": "Nordlys"})
    with (shop / "catalog" / "products.csv").open("w") as file:
        writer = csv.DictWriter(file, list(row))
        writer.writeheader()
        writer.writerow(row)
    monkeypatch.chdir(shop)

    def run(*words):
        result = CliRunner().invoke(abp, list(words))
        assert result.exit_code == 0, result.output
        return result.output

    run("generate", "--per-product", "2")
    assert "holds today's brand kits" in run("creatives", "inspect")
    kit = shop / "catalog" / "brands" / "nordlys.yaml"
    kit.write_text(kit.read_text().replace("[sage, cream, sand]", "[ink]"))
    rejected = json.loads(run("creatives", "inspect", "--json"))
    assert {row["rule"] for row in rejected} == {"brand:palette"}
    rows = json.loads(run("creatives", "list", "--state", "rejected", "--json"))
    assert {(row["reason"], row["reviewed_by"]) for row in rows} == {("off-brand", "rules")}
    run("creatives", "approve", rows[0]["creative_id"])
    assert json.loads(run("creatives", "inspect", "--json")) == []
