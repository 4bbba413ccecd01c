"""Renderers: a product and a scene → pixels."""
