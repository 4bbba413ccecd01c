"""What a variant does inside: policies choose among eligible creatives."""

from abplatform.traffic.policies.draw import unit_draw
from abplatform.traffic.policies.policy import Choice, Context, Policy, choose, mixed_with_floor
from abplatform.traffic.policies.uniform import Uniform

__all__ = ["Choice", "Context", "Policy", "Uniform", "choose", "mixed_with_floor", "unit_draw"]
