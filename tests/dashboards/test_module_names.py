"""Streamlit puts ``dashboards/`` first on sys.path: no file there may hide another module."""

import sys
from importlib.metadata import packages_distributions
from pathlib import Path

import dashboards


def test_no_page_shadows_another_module():
    """No module of the dashboards bears the name of a standard or installed top-level module."""
    folder = Path(dashboards.__file__).parent
    ours = {path.stem for path in folder.iterdir() if path.suffix == ".py" or path.is_dir()}
    taken = set(sys.stdlib_module_names) | set(packages_distributions())
    assert ours & taken == set()
    assert ours & {"abplatform", "generators", "reward", "dashboards"} == set()
