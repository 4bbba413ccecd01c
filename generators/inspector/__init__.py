"""The inspector: is a picture usable, and do product and background go together?"""

from generators.inspector.inspecting import NEAR_DUPLICATE, Inspection, inspect, inspector_name

__all__ = ["NEAR_DUPLICATE", "Inspection", "inspect", "inspector_name"]
