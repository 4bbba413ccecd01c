"""Clients of the decision service, and assignment in the caller's own process.

:class:`Client` asks the service what to show; :class:`LocalClient` assigns units by itself. The
OpenFeature provider stands in :mod:`abplatform.traffic.client.provider`, since it needs the extra
``openfeature``.
"""

from abplatform.traffic.client.answers import Decision, Delivery, Rejected, ShownCreative
from abplatform.traffic.client.local import LocalClient
from abplatform.traffic.client.remote import Client

__all__ = ["Client", "Decision", "Delivery", "LocalClient", "Rejected", "ShownCreative"]
