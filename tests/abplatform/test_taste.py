import numpy as np
import pytest

from abplatform.domain.catalog import Placement
from abplatform.simulation.taste import FEATURES, Picture, Taste, look_at

PLACE = Placement(x=40, y=40, width=48, height=60)


def picture(background=(200, 200, 200), product=(40, 80, 200), noise=0.0):
    pixels = np.full((128, 128, 3), background, dtype=np.float64)
    pixels += np.random.default_rng(0).normal(0, noise, pixels.shape)
    pixels[40:100, 40:88] = product
    return Picture(np.clip(pixels, 0, 255).astype(np.uint8), PLACE)


def measured(name, *pictures):
    return look_at(pictures)[:, list(FEATURES).index(name)]


@pytest.mark.parametrize(
    ("name", "more", "less"),
    [
        ("warmth", picture((240, 180, 120)), picture((120, 180, 240))),
        ("richness", picture((220, 90, 90)), picture((160, 160, 160))),
        ("brightness", picture((230, 230, 230)), picture((60, 60, 60))),
        ("separation", picture(product=(20, 20, 20)), picture(product=(190, 190, 190))),
        ("clutter", picture(noise=60.0), picture(noise=0.0)),
        (
            "harmony",
            picture((230, 160, 60), (60, 120, 230)),
            picture((90, 220, 90), (60, 120, 230)),
        ),
    ],
)
def test_measurements_mean_what_their_names_say(name, more, less):
    """Each measurement is larger for the picture that has more of what it is named after."""
    high, low = measured(name, more, less)
    assert high > low


def test_size_of_the_file_does_not_matter():
    """A picture at twice the size is measured nearly alike, for shoppers see 64 by 64."""
    small = picture((210, 170, 120), noise=5.0)
    large = Picture(
        small.pixels.repeat(2, axis=0).repeat(2, axis=1),
        Placement(x=80, y=80, width=96, height=120),
    )
    np.testing.assert_allclose(look_at([small]), look_at([large]), atol=1e-9)


def test_a_product_that_fills_the_picture_can_be_measured():
    """Measurements stay finite where there is no background at all."""
    full = Picture(np.full((64, 64, 3), 128, np.uint8), Placement(x=0, y=0, width=64, height=64))
    assert np.isfinite(look_at([full])).all()


def test_taste_is_bounded_seeded_and_indifferent_somewhere():
    """Appeal stays within ± 0.4, comes from the seed alone, and is zero in one category."""
    names = ["beauty", "drinks", "home", "toys"]
    looks = np.random.default_rng(1).normal(0, 1.5, (500, len(FEATURES)))
    one, again, other = Taste(7, names), Taste(7, names[::-1]), Taste(8, names)
    for name in names:
        appeal = one.appeal(name, looks)
        assert np.abs(appeal).max() <= 0.4
        np.testing.assert_array_equal(appeal, again.appeal(name, looks))
        cold = one.temperaments[name] == "indifference"
        assert (np.ptp(appeal) == 0.0) == cold
    assert any(
        not np.array_equal(one.appeal(name, looks), other.appeal(name, looks)) for name in names
    )
    assert list(one.temperaments.values()).count("indifference") == 1
