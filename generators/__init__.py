"""Catalogue to creatives."""
