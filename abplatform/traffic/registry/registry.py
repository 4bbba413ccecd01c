"""Changes of an experiment's state, checked and written to the journal.

    draft ──start──▶ running ──stop──▶ stopped ──decide──▶ decided
                     │  ▲  ▲
                pause▼  │  └ ramp (a new phase)
                     paused ──resume──▶ running (a new phase); paused ──stop──▶ stopped
    running ──apply──▶ running (a new phase, by the YAML as it was edited)

An experiment that has started is what its kept bytes say, whatever becomes of its YAML file.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from abplatform.creatives import Selector
from abplatform.domain.assignment import reweighted_ranges, share_range
from abplatform.domain.experiment import Experiment, Phase, RampStep, State, Verdict
from abplatform.errors import RegistryError, SpecError
from abplatform.logs.facts import Rates
from abplatform.traffic.journal import Pen
from abplatform.traffic.registry.edits import Difference, Edit, with_safe_edits
from abplatform.traffic.registry.files import (
    SpecFile,
    find_spec_file,
    keep_spec,
    read_spec_files,
    refuse_twins,
)
from abplatform.traffic.registry.look_plan import plan_at_start, plan_facts, unspent_alpha
from abplatform.traffic.registry.lookbook import SETS_LOOKS_ASIDE
from abplatform.traffic.registry.money import fix_rates, rates_facts
from abplatform.traffic.registry.ramps import next_phase, next_step, present_step
from abplatform.traffic.registry.register import Register, refuse_external
from abplatform.traffic.registry.replay import (
    Past,
    RegisteredExperiment,
    Review,
    phase_facts,
    replay,
    replay_halted,
    say_moment,
)
from abplatform.traffic.registry.special_days import calendar_facts
from abplatform.traffic.registry.withdrawals import Order, record_withdrawal, refuse_withdrawn

__all__ = ["Registry"]


class Registry(Register):
    """The experiments of one workspace, for reading and changing.

    Args:
        workspace: Where the YAML files and the journal are.
    """

    def start(
        self,
        key: str,
        *,
        at: datetime,
        who: str,
        resolved: Mapping[str, str] | None = None,
    ) -> RegisteredExperiment:
        """Start a draft: keep its bytes, take its slots, open its first phase.

        Args:
            key: The experiment.
            at: From when on it assigns; may lie in the past.
            who: Who starts it.
            resolved: Alias such as ``champion`` to the sha256 it stands for now.

        Raises:
            RegistryError: It is no draft, its layer is over-booked, or it needs no start.
            SpecError: Its YAML cannot be used, or its key stands in two files.
        """
        with self.journal.pen() as pen:
            past = replay(pen.rows).get(key)
            if past is not None:
                raise _wrong_state(key, past, "start")
            self.find(key)
            file = find_spec_file(self.workspace.experiments, key)
            refuse_external(file.experiment)
            phase = self._first_phase(file.experiment, at, rows=pen.rows, path=file.path)
            settings = self.workspace.settings
            plan = plan_at_start(file.experiment, at, settings.calendar, settings.time_zone)
            detail = {
                "spec_sha256": keep_spec(self.workspace, file.content),
                "spec_file": str(file.path.relative_to(self.workspace.root)),
                "layer": file.experiment.own_layer.name,
                "resolved": dict(resolved or {}),
                "holdout": settings.holdout,
                "calendar": calendar_facts(settings.calendar),
                "money": rates_facts(Rates.of(settings.currency, settings.rates)),
                "plan": plan_facts(plan),
                "phase": phase_facts(phase),
            }
            self._write(pen, "start", key, at=at, who=who, detail=detail)
        return self.find(key)

    def fix_rates(self, *, who: str) -> list[str]:
        """Keep what money is worth in every running experiment in which that is not fixed yet.

        Returns:
            The experiments for which something was written.

        Raises:
            RegistryError: abp.yaml's currency is worth nothing known in one of them.
        """
        return fix_rates(self.workspace, self.usable()[0], who=who)

    def pause(self, key: str, *, at: datetime, who: str, reason: str | None = None) -> None:
        """Stop exposing units for a while; the slots stay taken. Works on edited specs too."""
        with self.journal.pen() as pen:
            self._past(pen, key, "pause", State.RUNNING)
            self._write(pen, "pause", key, at=at, who=who, detail={"reason": reason})

    def resume(self, key: str, *, at: datetime, who: str, reason: str | None = None) -> None:
        """Expose units again, in a new phase with the allocation of the last."""
        with self.journal.pen() as pen:
            past = self._past(pen, key, "resume", State.PAUSED)
            phase = next_phase(past, past.phases[-1].exposure, at)
            detail = {"reason": reason, "phase": phase_facts(phase)}
            self._write(pen, "resume", key, at=at, who=who, detail=detail)

    def ramp(
        self, key: str, *, at: datetime, who: str, reason: str | None = None
    ) -> RegisteredExperiment:
        """Move on to the next step of the ramp, which may have been edited since the start.

        Raises:
            RegistryError: It is not running, it has reached the last step, or the present step has
                to be held for longer.
        """
        with self.journal.pen() as pen:
            past = self._past(pen, key, "ramp", State.RUNNING)
            files, _ = read_spec_files(self.workspace.experiments)
            file = files.get(key) or self._started(past)
            step = next_step(past, file, at)
            phase = next_phase(past, share_range(step.traffic), at)
            detail = {"reason": reason, "traffic": step.traffic, "phase": phase_facts(phase)}
            self._write(pen, "ramp", key, at=at, who=who, detail=detail)
        return self.find(key)

    def next_step(self, key: str, *, at: datetime) -> tuple[RampStep | None, RampStep]:
        """Return the present step of the ramp and the next one, without taking it.

        Raises:
            RegistryError: As for :meth:`ramp`.
        """
        past = self._checked(replay(self.rows()), key, "ramp", (State.RUNNING,))
        files, _ = read_spec_files(self.workspace.experiments)
        file = files.get(key) or self._started(past)
        step = next_step(past, file, at)
        return present_step(past, file), step

    def apply(
        self,
        key: str,
        *,
        at: datetime,
        who: str,
        reason: str | None = None,
        resolved: Mapping[str, str] | None = None,
    ) -> tuple[Difference, ...]:
        """Let the edits of a running experiment's YAML take effect, in a new phase.

        Whoever can stay in a variant stays; see
        :func:`~abplatform.domain.assignment.reweighted_ranges`.

        Args:
            key: The experiment.
            at: From when on; may lie in the past.
            who: Who decides.
            reason: Why, for the journal.
            resolved: Alias such as ``champion`` to the sha256 it stands for now; it counts for
                aliases that the spec in force does not name, the others stand for what they did.

        Returns:
            What takes effect; nothing where no edit needs a phase, and then nothing is written.

        Raises:
            RegistryError: It is not running, an edit is forbidden, its layer has no room, or the
                moment lies ahead.
            SpecError: The YAML cannot be used, or the key stands in two files.
        """
        with self.journal.pen() as pen:
            past = self._past(pen, key, "apply", State.RUNNING)
            edit, file = self._applicable(key, past)
            if edit is None or file is None:
                return ()
            self._refuse_ahead(key, at)
            last = past.phases[-1]
            phase = replace(
                next_phase(past, last.exposure, at),
                slots=self._slots(file.experiment, last.slots, pen.rows, at, file.path),
                variants=reweighted_ranges(last.variants, file.experiment.weights),
                weights=file.experiment.weights,
            )
            applied = edit.of_kind("phase")
            detail = {
                "reason": reason,
                "spec_sha256": keep_spec(self.workspace, file.content),
                "differences": [one.told for one in applied],
                "resolved": {**past.resolved, **self._newly_named(past, resolved or {})},
                "phase": phase_facts(phase),
                **self._begin_anew(past, file.experiment, phase),
            }
            self._write(pen, "apply", key, at=at, who=who, detail=detail)
        return applied

    def stop(self, key: str, *, at: datetime, who: str, reason: str | None = None) -> None:
        """Stop an experiment for good and free its slots. Works on edited specs too."""
        with self.journal.pen() as pen:
            past = self._past(pen, key, "stop", State.RUNNING, State.PAUSED)
            detail = {"reason": reason, **self._last_edits(key, past)}
            self._write(pen, "stop", key, at=at, who=who, detail=detail)

    def decide(
        self,
        key: str,
        verdict: Verdict | str,
        *,
        at: datetime,
        who: str,
        detail: Mapping[str, Any] | None = None,
    ) -> None:
        """Record the verdict of an experiment; one that still runs is stopped in the same breath.

        Deciding the same verdict again changes nothing.

        Raises:
            RegistryError: It never started, was decided otherwise, or the verdict is ``continue``.
        """
        verdict = Verdict(verdict)
        if verdict is Verdict.CONTINUE:
            raise RegistryError(f"{key}: 'continue' decides nothing", remedy="let it run on")
        with self.journal.pen() as pen:
            past = replay(pen.rows).get(key)
            if past is not None and past.state is State.DECIDED and past.verdict is verdict:
                return
            external = past is None and self.find(key).experiment.assignment == "external"
            if not external:
                states = (State.RUNNING, State.PAUSED, State.STOPPED)
                past = self._past(pen, key, "decide", *states)
                if past.state is not State.STOPPED:
                    because = {"reason": f"decided: {verdict}", **self._last_edits(key, past)}
                    self._write(pen, "stop", key, at=at, who=who, detail=because)
            facts = {**(detail or {}), "verdict": verdict.value}
            self._write(pen, "decide", key, at=at, who=who, detail=facts)

    def record_review(self, review: Review) -> None:
        """Record what a person says about a creative set; where it holds, the newest counts.

        Raises:
            RegistryError: It is withdrawn, so nobody can approve it.
        """
        facts = {
            "creative_id": review.creative_id,
            "decision": review.decision,
            "reason": review.reason,
            "note": review.note,
            "channels": list(review.channels),
            "countries": list(review.countries),
            "until": None if review.until is None else review.until.isoformat(),
        }
        # what is not said is left out: rows look as they always did
        detail = {k: v for k, v in facts.items() if v or k == "reason"}
        with self.journal.pen() as pen:
            if review.decision == "approved":
                refuse_withdrawn(pen.rows, review.creative_id, self.workspace.creatives)
            self._write(pen, "review", None, at=review.at, who=review.who, detail=detail)

    def withdraw(
        self,
        selector: Selector,
        *,
        at: datetime,
        who: str,
        reason: str,
        showing: Callable[[Collection[str]], Iterable[str]] | None = None,
    ) -> None:
        """Withdraw creatives for good; nothing takes that back, and doing it again changes nothing.

        Args:
            selector: Which ones.
            at: From when on.
            who: Who withdraws.
            reason: Why.
            showing: Returns the experiments that may show some of the creatives that it is given;
                a phase begins in those that are running.

        Raises:
            CatalogueError: The lineage cannot be read.
        """
        now = self.workspace.clock()
        order = Order(selector, at, now, who, reason, showing or (lambda _: ()))
        record_withdrawal(self.journal, order, self.workspace.creatives)

    def halt(self, *, at: datetime, who: str, reason: str | None = None) -> None:
        """Switch all experiments off at once: everybody sees baselines. Their phases stay."""
        self._write_switch("halt", at, who, reason)

    def unhalt(self, *, at: datetime, who: str, reason: str | None = None) -> None:
        """Let experiments run on after :meth:`halt`, each as it stands."""
        self._write_switch("unhalt", at, who, reason)

    def _applicable(self, key: str, past: Past) -> tuple[Edit, SpecFile] | tuple[None, None]:
        """Return the edit that waits for a phase and its file, both of one reading."""
        files, problems = read_spec_files(self.workspace.experiments)
        refuse_twins(problems, key)
        edit = self._edit(key, past, files, problems)
        if isinstance(edit, SpecError):
            raise edit
        if edit is None or not edit.unapplied:
            return None, None
        if edit.of_kind("forbidden"):
            raise edit.refusal(key)
        return edit, files[key]

    def _refuse_ahead(self, key: str, at: datetime) -> None:
        """What a spec says is in force from the row on, so that no phase of it can wait."""
        now = self.workspace.clock()
        if at > now:
            raise RegistryError(
                f"{key}: apply at {say_moment(at)} lies ahead of now, {say_moment(now)}",
                remedy="apply it when it shall take effect",
            )

    def _newly_named(self, past: Past, resolved: Mapping[str, str]) -> dict[str, str]:
        """Leave out aliases that ran already: a promotion since the start is no edit."""
        named = {
            one.creatives.checkpoint
            for one in self._started(past).experiment.variants
            if one.creatives
        }
        return {
            alias: sha256
            for alias, sha256 in resolved.items()
            if alias not in past.resolved and alias.partition("/")[2] not in named
        }

    def _last_edits(self, key: str, past: Past) -> dict[str, str]:
        """Keep safe edits when an experiment ends: from then on its file does not count."""
        file = read_spec_files(self.workspace.experiments)[0].get(key)
        started = self._started(past).experiment
        if file is None or with_safe_edits(started, file.experiment) == started:
            return {}
        return {"edited_sha256": keep_spec(self.workspace, file.content)}

    def _begin_anew(self, past: Past, experiment: Experiment, phase: Phase) -> dict[str, Any]:
        """Fix the plan of a comparison that begins with a phase; nothing where nobody moves.

        Units that were dealt to variants by other shares came at other times, so that a trend of
        the rate would pass for a lift, if both stretches were compared as one.

        Raises:
            RegistryError: A look has decided, so that there is nothing left to compare.
        """
        if dict(phase.variants) == dict(past.phases[-1].variants):
            return {}
        rows = [found["row"] for look in past.looks for found in look.treatments.values()]
        if any(row["crossed"] or row["last"] for row in rows):
            raise RegistryError(
                f"{experiment.key} has been decided by a look; other weights would begin anew",
                remedy=f"stop it, and give the new plan its own key: `abp stop {experiment.key}`",
            )
        settings = self.workspace.settings
        calendar, zone = settings.calendar, settings.time_zone
        before = self._started(past).experiment
        # Starts by versions that kept no plan were looked at, too, by the plan of the YAML.
        since = past.compared_since or phase.starts_at
        held = past.plan or plan_facts(plan_at_start(before, since, past.calendar or (), zone))
        unspent = unspent_alpha(before, held, past.looks)
        plan = plan_at_start(experiment, phase.starts_at, calendar, zone, unspent=unspent)
        return {
            "calendar": calendar_facts(calendar),
            "plan": plan_facts(plan),
            SETS_LOOKS_ASIDE: True,
        }

    def _write_switch(self, action: str, at: datetime, who: str, reason: str | None) -> None:
        with self.journal.pen() as pen:
            if replay_halted(pen.rows) != (action == "halt"):
                self._write(pen, action, None, at=at, who=who, detail={"reason": reason})

    def _past(self, pen: Pen, key: str, action: str, *states: State) -> Past:
        return self._checked(replay(pen.rows), key, action, states)

    def _checked(
        self, pasts: Mapping[str, Past], key: str, action: str, states: tuple[State, ...]
    ) -> Past:
        past = pasts.get(key)
        if past is None:
            refuse_external(self.find(key).experiment)
            raise RegistryError(
                f"{key} is a draft; {action} needs a started experiment",
                remedy=f"start it with `abp start {key}`",
            )
        if past.state not in states:
            raise _wrong_state(key, past, action)
        return past

    def _write(
        self,
        pen: Pen,
        action: str,
        key: str | None,
        *,
        at: datetime,
        who: str,
        detail: Mapping[str, Any],
    ) -> None:
        past = replay(pen.rows).get(key) if key else None
        if past is not None and at < past.changed_at:
            raise RegistryError(
                f"{key}: {action} at {say_moment(at)} lies before its last change at "
                f"{say_moment(past.changed_at)}",
                remedy="name a later time with --at",
            )
        now = self.workspace.clock()
        pen.append(action, at=at, written_at=now, who=who, experiment=key, detail=detail)


def _wrong_state(key: str, past: Past, action: str) -> RegistryError:
    remedies = {
        State.RUNNING: f"see it with `abp status {key}`",
        State.PAUSED: f"resume it with `abp start {key}`",
        State.STOPPED: "give a new run its own key",
        State.DECIDED: "give a new run its own key",
        State.DRAFT: f"start it with `abp start {key}`",
    }
    since = say_moment(past.changed_at)
    return RegistryError(
        f"{key} is {past.state} since {since}; it cannot {action}", remedy=remedies[past.state]
    )
