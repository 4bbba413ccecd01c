"""Preference pairs to a reward model."""
