"""The next step of a ramp, and the phase that it opens."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from abplatform.domain.assignment import share_range
from abplatform.domain.experiment import BucketRange, Phase, RampStep
from abplatform.errors import RegistryError
from abplatform.traffic.registry.files import SpecFile, line_of
from abplatform.traffic.registry.replay import Past, say_moment

__all__ = ["next_phase", "next_step", "present_step"]


def next_phase(past: Past, exposure: BucketRange, at: datetime) -> Phase:
    """Return the phase that follows: the last one's allocation with another exposure."""
    last = past.phases[-1]
    return replace(last, number=last.number + 1, starts_at=at, ends_at=None, exposure=exposure)


def present_step(past: Past, file: SpecFile) -> RampStep | None:
    """Return the step of the ramp at which the experiment stands; None once it was edited away."""
    exposure = past.phases[-1].exposure
    steps = (step for step in file.experiment.ramp if share_range(step.traffic) == exposure)
    return next(steps, None)


def next_step(past: Past, file: SpecFile, at: datetime) -> RampStep:
    """Return the first step with more traffic than now.

    Raises:
        RegistryError: There is none, or the present step has to be held for longer.
    """
    key, exposure = file.experiment.key, past.phases[-1].exposure
    higher = [s for s in file.experiment.ramp if share_range(s.traffic).high > exposure.high]
    if not higher:
        raise RegistryError(
            f"{key} has reached the last step of its ramp",
            path=file.path,
            line=line_of(file.path, "ramp:"),
            remedy="add a step with more traffic to `ramp`",
        )
    present = present_step(past, file)
    since = min(phase.starts_at for phase in past.phases if phase.exposure == exposure)
    if present and present.hold and at < since + present.hold:
        raise RegistryError(
            f"{key} has to hold its present step until {say_moment(since + present.hold)}",
            path=file.path,
            line=line_of(file.path, "ramp:"),
            remedy="ramp later, or lower `hold` in the YAML",
        )
    return higher[0]
