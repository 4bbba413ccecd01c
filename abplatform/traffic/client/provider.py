"""An OpenFeature provider: a flag is an experiment.

A string flag is the unit's variant, a boolean flag whether that is a treatment, an object flag the
whole decision. Units outside the experiment get the caller's default. The evaluation context's
targeting key is the unit; its attributes are what targeting reads.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Final, NoReturn, TypeVar

import msgspec

from abplatform.domain.assignment import Assignment
from abplatform.domain.targeting import DIMENSIONS, Context
from abplatform.errors import NotInstalled
from abplatform.traffic.assignments import Assignable
from abplatform.traffic.client.local import LocalClient, News
from abplatform.traffic.client.remote import Client
from abplatform.traffic.decisions import Request, RequestContext

try:
    from openfeature.evaluation_context import EvaluationContext
    from openfeature.event import ProviderEventDetails
    from openfeature.exception import (
        FlagNotFoundError,
        GeneralError,
        InvalidContextError,
        ProviderNotReadyError,
        TargetingKeyMissingError,
        TypeMismatchError,
    )
    from openfeature.flag_evaluation import FlagResolutionDetails, FlagValueType, Reason
    from openfeature.provider import AbstractProvider, Metadata
except ModuleNotFoundError:
    raise NotInstalled("openfeature", extra="openfeature") from None

__all__ = ["AbpProvider"]

_Value = TypeVar("_Value")
_Object = Sequence[FlagValueType] | Mapping[str, FlagValueType]

_REASONS: Final[Mapping[str, Reason]] = {
    "assigned": Reason.SPLIT,
    "forced": Reason.TARGETING_MATCH,
    "not_running": Reason.DISABLED,
}
"""The platform's word → OpenFeature's; every other exclusion is the caller's DEFAULT."""


class AbpProvider(AbstractProvider):
    """Resolves flags from plans in this process; no evaluation waits for a network.

    Args:
        local: Assigns units; the provider closes it when it is shut down.
        client: Where given, object flags are decisions of the service, creative included, which
            does wait; without it they tell the assignment.
    """

    def __init__(self, local: LocalClient, client: Client | None = None) -> None:
        super().__init__()
        self._local = local
        self._client = client

    def get_metadata(self) -> Metadata:
        """Return the provider's name."""
        return Metadata(name="abplatform")

    def initialize(self, evaluation_context: EvaluationContext) -> None:
        """Wait for the first plans.

        Raises:
            ProviderNotReadyError: They do not come; they are asked for again in the background.
        """
        self._local.tell = self._hear
        if not self._local.ready:
            raise ProviderNotReadyError(self._local.problem)

    def shutdown(self) -> None:
        """Close the clients."""
        self._local.close()
        if self._client is not None:
            self._client.close()

    def resolve_string_details(
        self,
        flag_key: str,
        default_value: str,
        evaluation_context: EvaluationContext | None = None,
    ) -> FlagResolutionDetails[str]:
        """Return the unit's variant."""
        _, given = self._ask(flag_key, evaluation_context)
        value = default_value if given.variant is None else given.variant
        return self._details(value, flag_key, given)

    def resolve_boolean_details(
        self,
        flag_key: str,
        default_value: bool,  # noqa: FBT001 -- OpenFeature's signature
        evaluation_context: EvaluationContext | None = None,
    ) -> FlagResolutionDetails[bool]:
        """Return whether the unit's variant is a treatment."""
        found, given = self._ask(flag_key, evaluation_context)
        value = default_value if given.variant is None else given.variant != found.control
        return self._details(value, flag_key, given)

    def resolve_object_details(
        self,
        flag_key: str,
        default_value: _Object,
        evaluation_context: EvaluationContext | None = None,
    ) -> FlagResolutionDetails[_Object]:
        """Return the service's decision, or without a client the assignment."""
        found, given = self._ask(flag_key, evaluation_context)
        if self._client is None:
            told: _Object = given._asdict() if given.variant is not None else default_value
            return self._details(told, flag_key, given)
        context = _request_context(evaluation_context)
        decision = self._client.decide(
            Request(unit_id=given.unit_id, experiment=found.plan.experiment_key, context=context)
        )
        if decision.problem is not None:
            raise GeneralError(decision.problem)
        return FlagResolutionDetails(
            value=msgspec.to_builtins(decision),
            reason=_REASONS.get(decision.reason, Reason.DEFAULT),
            variant=decision.variant(flag_key),
        )

    async def resolve_object_details_async(
        self,
        flag_key: str,
        default_value: _Object,
        evaluation_context: EvaluationContext | None = None,
    ) -> FlagResolutionDetails[_Object]:
        """Ask in a thread, since a decision of the service waits for the network."""
        return await asyncio.to_thread(
            self.resolve_object_details, flag_key, default_value, evaluation_context
        )

    def resolve_integer_details(
        self,
        flag_key: str,
        default_value: int,
        evaluation_context: EvaluationContext | None = None,
    ) -> FlagResolutionDetails[int]:
        """Refuse: an experiment is no number."""
        _refuse_number(flag_key)

    def resolve_float_details(
        self,
        flag_key: str,
        default_value: float,
        evaluation_context: EvaluationContext | None = None,
    ) -> FlagResolutionDetails[float]:
        """Refuse: an experiment is no number."""
        _refuse_number(flag_key)

    def _ask(
        self, flag_key: str, evaluation_context: EvaluationContext | None
    ) -> tuple[Assignable, Assignment]:
        """Return the experiment and what the unit gets in it."""
        if not self._local.ready:
            raise ProviderNotReadyError(self._local.problem)
        found = self._local.assignments.experiments.get(flag_key)
        if found is None:
            message = f"there is no running experiment {flag_key!r}"
            raise FlagNotFoundError(message)
        if evaluation_context is None or not evaluation_context.targeting_key:
            message = "the targeting key is missing: give the unit's id"
            raise TargetingKeyMissingError(message)
        try:
            unit_id = evaluation_context.targeting_key
            return found, self._local.assign_in(found, unit_id, _flat(evaluation_context))
        except ValueError as error:
            raise InvalidContextError(str(error)) from None

    def _details(
        self, value: _Value, flag_key: str, given: Assignment
    ) -> FlagResolutionDetails[_Value]:
        return FlagResolutionDetails(
            value=value,
            reason=_REASONS.get(given.reason, Reason.DEFAULT),
            variant=given.variant,
            flag_metadata={
                "experiment": flag_key,
                "reason": given.reason,
                "phase": given.phase,
                "bucket": given.bucket,
                "layer_bucket": given.layer_bucket,
                "config": self._local.assignments.version,
            },
        )

    def _hear(self, news: News) -> None:
        """Pass the local client's news on as OpenFeature's events."""
        if news == "changed":
            self.emit_provider_ready(ProviderEventDetails())
            self.emit_provider_configuration_changed(ProviderEventDetails())
        elif news == "fresh":
            self.emit_provider_ready(ProviderEventDetails())
        else:
            self.emit_provider_stale(ProviderEventDetails(message=self._local.problem))


def _flat(context: EvaluationContext) -> Context:
    """What targeting is told; what is nested is left out, as something unknown."""
    return {
        name: value
        for name, value in context.attributes.items()
        if isinstance(value, str | int | float)
    }


def _request_context(context: EvaluationContext | None) -> RequestContext:
    """The platform's own words in their places, everything else that is flat as attributes."""
    given = dict(_flat(context)) if context else {}
    own = {name: given.pop(name) for name in DIMENSIONS if name in given}
    products = context.attributes.get("product_ids", ()) if context else ()
    asked = {**own, "product_ids": products, "attributes": given}
    try:
        return msgspec.convert(asked, RequestContext)
    except msgspec.ValidationError as error:
        raise InvalidContextError(str(error)) from None


def _refuse_number(flag_key: str) -> NoReturn:
    message = f"{flag_key!r} is an experiment: ask for its variant, as a string, boolean or object"
    raise TypeMismatchError(message)
