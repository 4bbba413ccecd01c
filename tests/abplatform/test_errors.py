"""The exception tree and what its messages look like."""

import re

import pytest

from abplatform import errors
from abplatform.errors import AbplatformError, NotInstalled, SpecError


def drawn_tree() -> dict[str, str]:
    """Child to parent as the module's docstring draws it."""
    parents: dict[str, str] = {}
    path: list[str] = []
    for line in errors.__doc__.splitlines():
        match = re.match(r"^ {4}((?:│   |    )*(?:[├└]── )?)(\w+)(?: {2,}.*)?$", line)
        if not match or match[2] not in errors.__all__:
            continue
        depth = len(match[1]) // 4
        path[depth:] = [match[2]]
        if depth:
            parents[match[2]] = path[depth - 1]
    return parents


def test_docstring_draws_the_real_tree():
    """The tree in the docstring is the tree in the code, class by class."""
    real = {name: getattr(errors, name).__mro__[1].__name__ for name in errors.__all__}
    del real["AbplatformError"]
    assert drawn_tree() == real


def test_message_names_place_and_remedy():
    """An error reads as place, sentence, remedy."""
    error = AbplatformError("no control", path="a.yaml", line=3, column=7, remedy="mark one")
    assert str(error) == "a.yaml:3:7: no control. Mark one."


@pytest.mark.parametrize(
    ("error", "text"),
    [
        (AbplatformError("it broke"), "it broke."),
        (AbplatformError("it broke", path="a.yaml"), "a.yaml: it broke."),
        (SpecError("no key", path="a.yaml", line=2, code="missing_key"), "a.yaml:2: no key."),
        (
            NotInstalled("torch", extra="models"),
            "torch is not installed. Install it with `pip install 'abplatform[models]'`.",
        ),
    ],
)
def test_message_leaves_out_what_is_unknown(error, text):
    """A place or remedy that is not known leaves no trace in the message."""
    assert str(error) == text
