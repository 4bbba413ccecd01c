"""What a variant does inside: which of its eligible creatives it shows, with what probability."""

from abplatform.traffic.policies.uniform import Choice, choose_uniformly

__all__ = ["Choice", "choose_uniformly"]
