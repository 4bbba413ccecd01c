import shutil
from dataclasses import dataclass, field, replace

import numpy as np
import pytest
from PIL import Image

from abplatform.creatives import (
    Selector,
    Withdrawn,
    append_lineage,
    perceptual_hash,
    read_cutout,
    read_lineage,
    read_master,
)
from generators.generate import generate_creatives
from generators.generate.screening import is_screened
from generators.generate.slots import Slot, slot_seeds
from generators.inspector import Inspection, inspect
from generators.renderers.studio import Studio
from generators.scene import VOCABULARY, scene_from_text
from generators.sheet import contact_page, contact_sheet

REFUSED = Inspection(False, False, {"edge": 1.0}, ("product_drowns",))


def draw(ready, root, **options):
    return generate_creatives(
        ready, **{"generator": "caig", "week": "2026-W48", "seed": 4, "root": root, **options}
    )


@pytest.fixture(scope="module")
def drawn(ready, tmp_path_factory):
    root = tmp_path_factory.mktemp("creatives")
    plain = draw(ready[:3], root, generator="baseline")
    return root, plain, draw(ready[:3], root, per_product=2)


def test_lineage_leads_from_photograph_to_pixels(drawn, ready):
    """Every creative has its row, and master, cut-out and placement fit together."""
    root, plain, made = drawn
    known = read_lineage(root)
    assert list(known.values()) == [*plain.lineages, *made.lineages]
    assert len(known) == 9
    photographs = {product.product.product_id: product.image_sha256 for product in ready}
    for lineage in known.values():
        pixels, cutout = read_master(root, lineage.creative_id), None
        cutout = read_cutout(root, lineage.cutout_sha256)
        place = lineage.placement
        assert pixels.shape == (512, 512, 3)
        assert cutout.shape == (place.height, place.width, 4)
        shown = pixels[place.y : place.y + place.height, place.x : place.x + place.width]
        solid = cutout[..., 3] == 255
        assert np.array_equal(shown[solid], cutout[solid][:, :3])
        assert lineage.image_sha256 == photographs[lineage.product_id]
        assert lineage.inspector["usable"] is True
        assert lineage.week == "2026-W48"
        if lineage.source == "generated":
            assert scene_from_text(lineage.prompt).to_words() == lineage.scene
            assert lineage.renderer == Studio().name
        else:
            assert (lineage.prompt, lineage.scene) == ("", {})


def test_a_second_run_draws_nothing(drawn, ready):
    """The same call finds everything there and leaves every file as it is."""
    root, plain, made = drawn
    before = {path: path.stat().st_mtime_ns for path in root.iterdir()}
    again = draw(ready[:3], root, per_product=2)
    assert (again.drawn, again.reused) == (0, 6)
    assert again.lineages == made.lineages
    assert draw(ready[:3], root, generator="baseline").lineages == plain.lineages
    assert {path: path.stat().st_mtime_ns for path in root.iterdir()} == before


def test_a_run_cut_short_goes_on(drawn, ready, tmp_path):
    """What is missing after a crash is drawn, and the result is that of one whole run."""
    root, _, made = drawn
    for lineage in made.lineages[:3]:
        for name in (lineage.creative_id, lineage.cutout_sha256):
            (tmp_path / f"{name}.webp").write_bytes((root / f"{name}.webp").read_bytes())
    append_lineage(tmp_path, made.lineages[:3])
    steps = []
    rest = draw(
        ready[:3], tmp_path, per_product=2, advance=lambda done, total: steps.append((done, total))
    )
    assert (rest.drawn, rest.reused) == (3, 3)
    assert rest.lineages == made.lineages
    assert steps == [(3, 6), (4, 6), (5, 6), (6, 6)]


def test_weeks_and_seeds_and_models_bring_new_pictures(drawn, ready, tmp_path):
    """Another week, seed or scorer is another run; more of one product keeps the first ones."""
    root, _, made = drawn
    one = made.lineages[0].creative_id
    for options in ({"week": "2026-W49"}, {"seed": 5}, {"checkpoints": {"reward": "f0"}}):
        run = draw(ready[:1], tmp_path, **options)
        assert run.drawn == 1
        if "checkpoints" in options:
            assert run.lineages[0].checkpoints == {"reward": "f0"}
        else:
            assert run.lineages[0].creative_id != one
    assert draw(ready[:1], root).lineages[0].creative_id == one


class Brightness:
    """A scorer that likes bright pictures."""

    def score(self, pixels, product):
        """Return the mean of all bytes."""
        assert pixels.dtype == np.uint8
        return float(pixels.mean())


def test_a_scorer_steers_the_scenes(ready, tmp_path):
    """Screened creatives score higher on average than unscreened ones of the same seeds."""
    means = []
    for name, scorer in (("free", None), ("screened", Brightness())):
        run = draw(ready[:3], tmp_path / name, scorer=scorer, least_win=0.0)
        pictures = [read_master(tmp_path / name, row.creative_id) for row in run.lineages]
        means.append(np.mean(pictures))
    assert means[1] > means[0] + 5


class Darkness(Brightness):
    """A scorer that likes dark pictures, and so most scenes more than the bright baseline."""

    def score(self, pixels, product):
        """Return how far the picture is from white, as a logit."""
        return (255 - super().score(pixels, product)) / 20


def test_only_promising_scenes_ask_for_traffic(ready, tmp_path, monkeypatch):
    """What is predicted to lose to the baseline is not drawn, but for the unscreened slots."""
    monkeypatch.setattr("generators.generate.screening._UNSCREENED_ONE_IN", 3)
    run = draw(ready[:2], tmp_path / "bright", per_product=4, scorer=Brightness())
    assert {slot.reasons for slot in run.refused} == {("not_promising",)}
    assert run.lineages
    for row in run.lineages:
        assert row.screening["screened"] is False
        assert 0 <= row.screening["predicted_win"] < 0.5
        assert row.seed % 3 == 0
    assert len(run.lineages) + len(run.refused) == 8
    drawn = draw(ready[:2], tmp_path / "dark", per_product=3, scorer=Darkness())
    wins = [row.screening for row in drawn.lineages]
    assert {tuple(row) for row in wins} == {("screened", "predicted_win")}
    assert min(row["predicted_win"] for row in wins if row["screened"]) >= 0.5
    assert len(drawn.lineages) == 6


def test_a_tenth_of_the_slots_is_not_screened(ready):
    """Slots escape screening by their seed alone, and one in ten does."""
    seeds = (slot_seeds("p", n, "caig", None, seed=1, count=1) for n in range(4000))
    slots = (Slot(ready[0], 0, "caig", None, Studio(), "families/1", seed) for seed in seeds)
    assert 0.08 < sum(not is_screened(slot) for slot in slots) / 4000 < 0.12


def test_a_slot_that_stayed_empty_is_not_tried_again(ready, tmp_path, monkeypatch):
    """A refusal is remembered under the inspector that spoke it, and under no other one."""
    monkeypatch.setattr("generators.generate.drawing.inspect", lambda *_, **__: REFUSED)
    first = draw(ready[:1], tmp_path)
    again = draw(ready[:1], tmp_path)
    assert again.refused == first.refused
    assert (first.drawn, first.reused, again.reused) == (0, 0, 1)
    monkeypatch.undo()
    assert not draw(ready[:1], tmp_path).lineages
    monkeypatch.setattr("generators.generate.run.inspector_name", lambda: "inspector/next")
    assert len(draw(ready[:1], tmp_path).lineages) == 1


def test_a_run_cut_short_after_refusals_goes_on(ready, tmp_path, monkeypatch):
    """Where first attempts were refused, the rest is planned as if nothing had broken off."""
    counts = {}

    def inspect_strictly(rendered, product, **told):
        name = product.product.product_id
        counts[name] = counts.get(name, 0) + 1
        strict = int(rendered.pixels.sum()) % 2
        return REFUSED if strict else inspect(rendered, product, **told)

    monkeypatch.setattr("generators.generate.drawing.inspect", inspect_strictly)
    whole = draw(ready[:2], tmp_path / "whole", per_product=4)
    assert sum(counts.values()) > 8, "no attempt was refused"
    draw(ready[:2], tmp_path / "parts", per_product=1)
    refused = tmp_path / "parts" / "refused.jsonl"
    if refused.exists():
        refused.write_bytes(refused.read_bytes()[:-20])  # a line that was cut off
    rest = draw(ready[:2], tmp_path / "parts", per_product=4)
    assert (rest.lineages, rest.refused) == (whole.lineages, whole.refused)


@dataclass(frozen=True)
class Together(Studio):
    """The studio, asked for several pictures at once."""

    batch = 3
    asked: list = field(default_factory=list)

    def render_many(self, orders):
        """Note how many are asked for."""
        self.asked.append(len(orders))
        return super().render_many(orders)


def test_pictures_drawn_together_are_those_drawn_alone(drawn, ready, tmp_path):
    """A renderer that draws in batches gets them, and the creatives are the same ones."""
    _, _, made = drawn
    together = Together()
    run = draw(ready[:3], tmp_path, per_product=2, renderer=together)
    assert run.lineages == made.lineages
    assert together.asked[:2] == [3, 3]


def test_what_the_inspector_refuses_is_reported(ready, tmp_path, monkeypatch):
    """A slot without a usable picture stays empty with its reasons; a baseline is kept marked."""
    monkeypatch.setattr("generators.generate.drawing.inspect", lambda *_, **__: REFUSED)
    run = draw(ready[:1], tmp_path)
    assert not run.lineages
    assert [(slot.slot, slot.reasons) for slot in run.refused] == [(0, ("product_drowns",))]
    assert not read_lineage(tmp_path)
    plain = draw(ready[:1], tmp_path, generator="baseline")
    assert plain.lineages[0].inspector["usable"] is False


def test_what_is_withdrawn_is_not_drawn_again(drawn, ready, tmp_path):
    """A withdrawn creative's place is taken by one that does not look like it, or stays empty."""
    root, _, made = drawn
    first = made.lineages[0]
    mine = [row for row in made.lineages if row.product_id == first.product_id]
    looks = {first.product_id: (first.perceptual_hash,)}
    withdrawn = Withdrawn(frozenset([first.creative_id]), (), looks)
    copy = tmp_path / "copy"
    shutil.copytree(root, copy)
    run = draw(ready[:1], copy, per_product=2, withdrawn=withdrawn)
    assert len(run.lineages) + len(run.refused) == 2
    assert mine[1] in run.lineages
    for row in run.lineages:
        assert not withdrawn.refuses(row)
        assert row.perceptual_hash == perceptual_hash(read_master(copy, row.creative_id))
    again = draw(ready[:1], copy, per_product=2, withdrawn=withdrawn)
    assert again.lineages == run.lineages
    assert draw(ready[:1], tmp_path / "fresh", per_product=2).lineages[0] == first


def test_a_withdrawn_baseline_leaves_its_place_empty(drawn, ready, tmp_path):
    """A baseline has no other scene: the slot says `withdrawn`, and no file is written."""
    _, plain, _ = drawn
    look = plain.lineages[0].perceptual_hash
    for withdrawn in (
        Withdrawn(looks={plain.lineages[0].product_id: (look,)}),
        Withdrawn(selectors=(Selector("product", (plain.lineages[0].product_id,)),)),
    ):
        run = draw(ready[:1], tmp_path, generator="baseline", withdrawn=withdrawn)
        assert [slot.reasons for slot in run.refused] == [("withdrawn",)]
        assert not list(tmp_path.iterdir())


def test_withdrawn_scenes_are_passed_over(ready, tmp_path):
    """With a word withdrawn the slots are filled by other scenes; with all words by none."""
    free = draw(ready[:3], tmp_path / "free")
    words = tuple({row.scene["backdrop"] for row in free.lineages})
    run = draw(
        ready[:3],
        tmp_path / "held",
        withdrawn=Withdrawn(selectors=(Selector("scene", scene={"backdrop": words}),)),
    )
    assert len(run.lineages) == 3
    assert not {row.scene["backdrop"] for row in run.lineages} & set(words)
    every = Selector("scene", scene={"backdrop": VOCABULARY["backdrop"]})
    none = draw(ready[:1], tmp_path / "none", withdrawn=Withdrawn(selectors=(every,)))
    assert [slot.reasons for slot in none.refused] == [("withdrawn",)]


@pytest.mark.slow
def test_two_processes_draw_the_same(ready, tmp_path, monkeypatch):
    """How many processes draw changes neither pictures nor their order."""
    monkeypatch.setattr("generators.generate.drawing.WORTH_A_POOL", 2)
    runs = [draw(ready[:2], tmp_path / str(n), per_product=2, processes=n) for n in (1, 2)]
    assert runs[0] == runs[1]


def test_contact_sheets_show_every_product(drawn, ready, tmp_path):
    """Sheet and page hold each product once, and strange titles do no harm."""
    root, plain, made = drawn
    products = [replace(item.product, title="<b>口红</b> " + "long " * 80) for item in ready[:4]]
    rows = [*plain.lineages, *made.lineages]
    sheet = contact_sheet(tmp_path / "s" / "sheet.png", products=products, lineages=rows, root=root)
    with Image.open(sheet) as image:
        assert image.width > 300
        assert image.height > 200
    page = contact_page(tmp_path / "page.html", products=products, lineages=rows, root=root)
    text = page.read_text()
    assert text.count("<img ") == 9
    assert "<b>口红" not in text
    empty = contact_sheet(tmp_path / "none.png", products=products, lineages=[], root=root)
    assert empty.is_file()
