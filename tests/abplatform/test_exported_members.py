"""What every module offers."""

import importlib
import pkgutil

import pytest

import abplatform
import generators
import reward

MODULES = sorted(
    module.name
    for package in (abplatform, generators, reward)
    for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}.")
    if not module.ispkg
)


@pytest.mark.parametrize("name", MODULES)
def test_all_is_sorted_whole_and_real(name):
    """Every module says what it offers: sorted, without repetition, and all of it exists."""
    module = importlib.import_module(name)
    assert list(module.__all__) == sorted(set(module.__all__), key=_as_ruff_sorts)
    assert all(hasattr(module, member) for member in module.__all__)


def _as_ruff_sorts(member: str) -> tuple[int, str]:
    """Constants, then classes, then functions, as the linter sorts ``__all__``."""
    kind = 0 if member.isupper() else 1 if member[:1].isupper() else 2
    return kind, member
