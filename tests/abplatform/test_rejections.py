"""What people rejected teaches the inspector, and nobody else."""

from datetime import UTC, datetime, timedelta
from types import MappingProxyType

import numpy as np
import pytest
from msgspec import structs

from abplatform import checkpoints
from abplatform.cli.makers import find_makers
from abplatform.cli.rejections import learn_from_reviews
from abplatform.creatives import append_lineage, save_master
from abplatform.domain.catalog import Lineage
from abplatform.errors import CheckpointError
from abplatform.settings import Generators
from abplatform.traffic.registry import Registry, Review
from abplatform.workspace import Workspace
from generators.drawn import draw_catalogue
from generators.families import FAMILIES, draw_scene
from generators.generate import generate_creatives
from generators.inspector import inspect
from generators.inspector.taste import open_taste, write_taste
from generators.intake import read_products
from generators.renderers.studio import Studio

MONDAY = datetime(2026, 11, 2, tzinfo=UTC)
DISLIKED = "tech glow"
OTHERS = tuple(name for name in FAMILIES if name != DISLIKED)
SIZE = (160, 160)


@pytest.fixture(scope="module")
def products(tmp_path_factory):
    return read_products(draw_catalogue(tmp_path_factory.mktemp("catalog"), products=8)).ready


def draw(products, families, count, *, seed):
    """Pictures of scenes of these families, by turns of the products."""
    rng = np.random.default_rng(seed)
    for number in range(count):
        scene = draw_scene(FAMILIES[families[int(rng.integers(len(families)))]], rng)
        product = products[number % len(products)]
        yield product, scene, Studio().render(product, scene, seed=seed + number, size=SIZE)


@pytest.fixture(scope="module")
def workspace(products, tmp_path_factory):
    """Forty pictures of one look and 120 others, none of which anybody has judged."""
    found = Workspace(tmp_path_factory.mktemp("shop"), clock=lambda: MONDAY)
    rows = {DISLIKED: [], "others": []}
    for name, families, count, seed in (
        (DISLIKED, (DISLIKED,), 40, 1000),
        ("others", OTHERS, 120, 5000),
    ):
        for product, scene, made in draw(products, families, count, seed=seed):
            keys = save_master(found.creatives, made.pixels, made.cutout)
            rows[name].append(
                Lineage(
                    keys[0],
                    product.product.product_id,
                    "generated",
                    product.image_sha256,
                    keys[1],
                    made.placement,
                    scene.to_words(),
                    scene.to_text(),
                    seed,
                    "studio/2",
                    {},
                    {"usable": True, "match": True, "scores": {}},
                )
            )
    append_lineage(found.creatives, [*rows[DISLIKED], *rows["others"]])
    return found, rows


@pytest.fixture
def shop(workspace, tmp_path):
    """The same creatives in a workspace without reviews and checkpoints."""
    found, rows = workspace
    other = Workspace(tmp_path / "shop", clock=lambda: MONDAY)
    other.creatives.parent.mkdir(parents=True)
    other.creatives.symlink_to(found.creatives)
    return other, rows


def reject(workspace, rows, *, reason="ugly", who="ada", **where):
    registry = Registry(workspace)
    for row in rows:
        registry.record_review(
            Review(row.creative_id, "rejected", MONDAY, who, reason, None, **where)
        )


def test_a_rejected_look_is_refused_and_hardly_anything_else(shop, products):
    """After 40 rejections new pictures of that look are refused; of all others at most 5 %."""
    workspace, rows = shop
    reject(workspace, rows[DISLIKED])
    answer = learn_from_reviews(workspace)
    assert answer["reasons"]["ugly"]["learned"]
    assert not answer["reasons"]["culture"]["learned"]
    taste = find_makers(Generators(), workspace.checkpoints).taste
    disliked, fine = (
        [
            inspect(made, product, taste=taste)
            for product, _, made in draw(products, families, count, seed=seed)
        ]
        for families, count, seed in (((DISLIKED,), 32, 90_000), (OTHERS, 100, 70_000))
    )
    refused = ["looks_rejected:ugly" in found.reasons for found in disliked]
    assert np.mean(refused) >= 0.8
    assert not any(found.usable for found in disliked if "looks_rejected:ugly" in found.reasons)
    assert np.mean(["looks_rejected:ugly" in found.reasons for found in fine]) <= 0.05


def test_learning_again_from_the_same_reviews_changes_nothing(shop):
    """The same reviews give the same checkpoint, and it stays the champion."""
    workspace, rows = shop
    reject(workspace, rows[DISLIKED])
    first = learn_from_reviews(workspace)
    assert learn_from_reviews(workspace) == first
    assert (
        checkpoints.aliases(workspace.checkpoints)["inspector"]["champion"] == (first["checkpoint"])
    )
    assert len(checkpoints.list_checkpoints(workspace.checkpoints, kind="inspector")) == 1


@pytest.mark.parametrize(
    "said",
    [{"who": "rules"}, {"countries": ("NO",)}, {"channels": ("feed",)}, {"reason": "claim"}],
)
def test_what_is_no_taste_teaches_nothing(shop, said):
    """Rules, words for one place, and reasons that cannot be seen leave the inspector as it is."""
    workspace, rows = shop
    reject(workspace, rows[DISLIKED], **said)
    assert learn_from_reviews(workspace)["checkpoint"] is None
    assert find_makers(Generators(), workspace.checkpoints).taste is None


def test_rejections_without_a_common_look_teach_nothing(shop):
    """Where chance decides what is rejected, the inspector learns nothing."""
    workspace, rows = shop
    reject(workspace, np.random.default_rng(4).permutation(rows["others"])[:40])
    found = learn_from_reviews(workspace)
    assert found["checkpoint"] is None
    assert "no common look" in found["reasons"]["ugly"]["why_not"]


def test_a_slot_of_a_rejected_look_stays_empty_or_is_drawn_anew(shop, products, tmp_path):
    """What is generated afterwards does not look like what people rejected."""

    class Always:
        name = "always/1"
        checkpoints = MappingProxyType({})

        def propose(self, _product, count, rng):
            return [draw_scene(FAMILIES[DISLIKED], rng) for _ in range(count)]

    workspace, rows = shop
    reject(workspace, rows[DISLIKED])
    learn_from_reviews(workspace)
    taste = find_makers(Generators(), workspace.checkpoints).taste
    suited = [ready for ready in products if "headphones" in ready.product.title.lower()]
    run = generate_creatives(
        suited, generator="caig", seed=1, root=tmp_path / "new", writer=Always(), taste=taste
    )
    assert len(run.refused) >= 1
    assert {reason for slot in run.refused for reason in slot.reasons} == {"looks_rejected:ugly"}


def test_a_later_approval_takes_a_rejection_back(shop):
    """The newest word of a person counts."""
    workspace, rows = shop
    reject(workspace, rows[DISLIKED])
    learn_from_reviews(workspace)
    registry = Registry(workspace)
    for row in rows[DISLIKED]:
        later = MONDAY + timedelta(hours=1)
        registry.record_review(Review(row.creative_id, "approved", later, "ada"))
    assert not learn_from_reviews(workspace)["reasons"]["ugly"]["learned"]
    assert find_makers(Generators(), workspace.checkpoints).taste.dislikes == ()


def test_what_cannot_be_what_was_learned_is_refused(shop, tmp_path):
    """A checkpoint with too few weights is refused by name, before anything is looked at."""
    workspace, rows = shop
    reject(workspace, rows[DISLIKED])
    learn_from_reviews(workspace)
    champion = find_makers(Generators(), workspace.checkpoints).taste.dislikes[0]
    folder = tmp_path / "cut"
    folder.mkdir()
    write_taste(folder, [structs.replace(champion, weights=(0.5, 0.5))])
    moment = {"kind": "inspector", "metadata": {}, "created_at": MONDAY}
    version = checkpoints.write_manifest(folder, **moment)
    with pytest.raises(CheckpointError, match="cannot be read: its weights are not 144"):
        open_taste(version)


def test_the_lineage_names_what_the_inspector_had_learned(shop, products, tmp_path):
    """A creative says which checkpoint let it through, and drawing it again finds it."""
    workspace, rows = shop
    reject(workspace, rows[DISLIKED])
    sha256 = learn_from_reviews(workspace)["checkpoint"]
    taste = find_makers(Generators(), workspace.checkpoints).taste
    asked = {"generator": "caig", "seed": 1, "root": tmp_path / "new"}
    run = generate_creatives(products[:1], taste=taste, **asked)
    assert [row.inspector["taste"] for row in run.lineages] == [sha256]
    assert generate_creatives(products[:1], taste=taste, **asked).drawn == 0
