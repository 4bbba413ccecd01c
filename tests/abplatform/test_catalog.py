"""Category paths."""

import pytest

from abplatform.domain.catalog import Category


def test_category_knows_its_ancestors():
    """A path gives its names, its parent and its ancestor at any level."""
    lip = Category("beauty/lip/matte")
    assert lip.names == ("beauty", "lip", "matte")
    assert lip.parent == Category("beauty/lip")
    assert lip.at_level(1) == Category("beauty")
    assert Category("beauty").parent is None


def test_shallow_category_is_its_own_ancestor():
    """A breakdown deeper than a category leaves it where it is."""
    assert Category("beauty").at_level(3) == Category("beauty")


@pytest.mark.parametrize("path", ["", "/", "beauty/", "/lip", "beauty//lip", "beauty/ "])
def test_empty_names_are_refused(path):
    """A path with an empty name is no category."""
    with pytest.raises(ValueError, match="a category is a path"):
        Category(path)
