"""What a variant does inside: policies choose among eligible creatives."""

from abplatform.traffic.policies.draw import unit_draw
from abplatform.traffic.policies.making import make_policy
from abplatform.traffic.policies.policy import Choice, Policy, choose, mixed_with_floor
from abplatform.traffic.policies.uniform import Uniform

__all__ = [
    "Choice",
    "Policy",
    "Uniform",
    "choose",
    "make_policy",
    "mixed_with_floor",
    "unit_draw",
]
