"""Effect models: what an impression's context says about its chance of being clicked."""

NETS = ("lr", "fm", "deepfm")
"""Click models that can be kept."""

REGRESSIONS = ("linear", "forest")
"""Regressions of scikit-learn, which are compared and never kept."""
