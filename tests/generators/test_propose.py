import numpy as np

from abplatform.domain.catalog import Category, Product
from generators.intake import ReadyProduct
from generators.propose import propose_scenes


def product(category, title="Something"):
    cutout = np.full((40, 30, 4), 255, np.uint8)
    return ReadyProduct(Product("p", title, Category(category), "p.png"), cutout, "0" * 64)


def test_scenes_are_distinct_and_repeatable():
    """A seed proposes the same different scenes again."""
    drawn = [
        propose_scenes(product("beauty/lip"), 12, np.random.default_rng(seed)) for seed in (1, 1, 2)
    ]
    assert len(set(drawn[0])) == 12
    assert drawn[0] == drawn[1] != drawn[2]


def test_clothes_lie_and_bottles_stand():
    """What cannot stand is seen from above, what would topple never is."""
    rng = np.random.default_rng(0)
    shirts = propose_scenes(product("apparel/t-shirts"), 30, rng)
    bottles = propose_scenes(product("drinks/juice"), 30, rng)
    assert {scene.backdrop for scene in shirts} == {"overhead"}
    assert "overhead" not in {scene.backdrop for scene in bottles}


def test_the_most_specific_name_decides():
    """A shoe under accessories is a shoe; an unknown category is led by its title."""
    rng = np.random.default_rng(0)
    shoes = propose_scenes(product("apparel/sneakers"), 30, rng)
    titled = propose_scenes(product("misc", "Blue hoodie"), 30, rng)
    assert "overhead" not in {scene.backdrop for scene in shoes}
    assert {scene.backdrop for scene in titled} == {"overhead"}


def test_a_scorer_chooses_the_best():
    """With a scorer, no scene that was left out would have scored higher than the last kept."""
    seen = {}

    def score(scene):
        return seen.setdefault(scene, float(len(scene.to_text())))

    kept = propose_scenes(product("home/lamps"), 4, np.random.default_rng(3), score)
    assert len(seen) == 8
    assert kept == sorted(seen, key=seen.get, reverse=True)[:4]


def test_pictures_of_one_product_do_not_repeat_each_other():
    """What a product has already is left out while there is anything else."""
    rng = np.random.default_rng(5)
    taken = []
    for _ in range(12):
        taken += propose_scenes(product("drinks/coffee"), 1, rng, taken=taken)
    assert len({(scene.surface, scene.backdrop) for scene in taken}) == 12
    clothes = propose_scenes(product("shirts"), 40, rng)
    assert len(propose_scenes(product("shirts"), 3, rng, taken=clothes)) == 3
