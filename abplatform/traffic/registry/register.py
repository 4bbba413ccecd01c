"""What the registry knows, read anew at every question."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from abplatform.creatives import Withdrawn
from abplatform.domain.assignment import AssignmentPlan, bucket_ranges, share_range
from abplatform.domain.experiment import BucketRange, Experiment, Phase, State
from abplatform.errors import RegistryError, SpecError
from abplatform.logs.facts import Rates
from abplatform.traffic.journal import Journal, JournalRow
from abplatform.traffic.registry.edits import Edit, find_edit, with_safe_edits
from abplatform.traffic.registry.files import SpecFile, kept_spec, line_of, read_spec_files
from abplatform.traffic.registry.money import replay_rates
from abplatform.traffic.registry.remedies import Remedies, replay_remedies
from abplatform.traffic.registry.replay import (
    WITHDRAW,
    Past,
    RegisteredExperiment,
    Review,
    replay,
    replay_halted,
    replay_reviews,
)
from abplatform.traffic.registry.slots import free_ranges, resize_slots
from abplatform.traffic.registry.withdrawals import (
    Withdrawal,
    replay_withdrawals,
    replay_withdrawn,
)
from abplatform.workspace import Workspace
from abplatform.yaml_text import nearest

__all__ = ["Register", "plan_of", "refuse_external"]


class Register:
    """The experiments of one workspace, for reading.

    Every method reads the files anew, so that several processes may use one workspace.

    Args:
        workspace: Where the YAML files and the journal are.
    """

    def __init__(self, workspace: Workspace) -> None:
        self.workspace = workspace
        self.journal = Journal(workspace.journal)

    def experiments(self) -> dict[str, RegisteredExperiment]:
        """Return every experiment by key: started ones in order of start, then the others.

        Raises:
            SpecError: A YAML file cannot be used.
            RegistryError: The journal or a kept spec is broken.
        """
        files, problems = read_spec_files(self.workspace.experiments)
        if problems:
            raise problems[0]
        return self._registered(files)

    def usable(self) -> tuple[dict[str, RegisteredExperiment], list[SpecError]]:
        """Return every experiment that can be used, and what is wrong with the other files."""
        files, problems = read_spec_files(self.workspace.experiments)
        return self._registered(files), problems

    def find(self, key: str) -> RegisteredExperiment:
        """Return one experiment; what is wrong with other files does not matter.

        Raises:
            RegistryError: Nobody knows the key; names the nearest one, or the broken files.
        """
        known, problems = self.usable()
        if key in known:
            return known[key]
        if problems:
            raise problems[0]
        near = nearest(key, known)
        raise RegistryError(
            f"there is no experiment {key!r}",
            path=self.workspace.experiments,
            remedy=(
                f"the nearest key is {near!r}"
                if near
                else f"write {key}.yaml there, with key: {key}"
            ),
        )

    def rows(self) -> list[JournalRow]:
        """Return the whole journal, checked."""
        return self.journal.rows()

    def history(self, key: str) -> list[JournalRow]:
        """Return what was decided about one experiment.

        Raises:
            RegistryError: Nobody knows the key.
        """
        rows = [row for row in self.rows() if row.experiment == key or _is_told(row, key)]
        return rows if rows or self.find(key) else []

    def reviews(self) -> dict[str, Review]:
        """Return the newest review of every creative that people have looked at."""
        return {review.creative_id: review for review in self.every_review()}

    def every_review(self) -> list[Review]:
        """Return all that people said about creatives, the oldest first."""
        return replay_reviews(self.rows())

    def withdrawals(self) -> tuple[Withdrawal, ...]:
        """Return what people withdrew, in order."""
        return replay_withdrawals(self.rows())

    def withdrawn(self) -> Withdrawn:
        """Return all that must not be shown or drawn any more."""
        return replay_withdrawn(self.rows())

    def halted(self) -> bool:
        """Tell whether a person has switched all experiments off."""
        return replay_halted(self.rows())

    def remedies(self, key: str) -> Remedies:
        """Return what people did about one experiment's split, also of one that has no YAML."""
        return replay_remedies(self.rows()).get(key, Remedies())

    def edits(self) -> dict[str, Edit | SpecError]:
        """Return how the YAML of running and paused experiments differs from what is in force.

        Returns:
            Key to what differs, or to what is wrong with a file that cannot be used any more;
            experiments whose YAML says what is in force, or is gone altogether, are left out.
        """
        files, problems = read_spec_files(self.workspace.experiments)
        found = {
            key: self._edit(key, past, files, problems)
            for key, past in replay(self.rows()).items()
            if past.state in {State.RUNNING, State.PAUSED}
        }
        return {key: edit for key, edit in found.items() if edit}

    def edited(self, key: str) -> Experiment:
        """Return what an experiment's YAML on disk says, in force or not.

        Raises:
            RegistryError: Nobody knows the key, or it has no file.
        """
        files, _ = read_spec_files(self.workspace.experiments)
        return files[key].experiment if key in files else self.find(key).experiment

    def unapplied(self) -> dict[str, RegistryError | SpecError]:
        """Return why edits of running experiments do not take effect, by key.

        Safe edits do, so an experiment that has only such is left out.
        """
        return {
            key: edit if isinstance(edit, SpecError) else edit.refusal(key)
            for key, edit in self.edits().items()
            if isinstance(edit, SpecError) or edit.unapplied
        }

    def plan(self, key: str, at: datetime | None = None) -> AssignmentPlan:
        """Return what decides about units at a moment; a draft previews its first phase.

        Args:
            key: The experiment.
            at: The moment; now by default. Before the start it is the first phase, not running.

        Raises:
            RegistryError: Nobody knows the key, its units are assigned elsewhere, or its layer
                has no room.
        """
        moment = at or self.workspace.clock()
        found = self.find(key)
        refuse_external(found.experiment)
        phases = found.phases or (self._first_phase(found.experiment, moment),)
        return plan_of(replace(found, phases=phases), moment, self.workspace.settings.holdout)

    def _registered(self, files: Mapping[str, SpecFile]) -> dict[str, RegisteredExperiment]:
        rows = self.rows()
        pasts, remedies, rates = replay(rows), replay_remedies(rows), replay_rates(rows)
        settings = self.workspace.settings
        now = Rates.of(settings.currency, settings.rates)
        known = {}
        for key, past in pasts.items():
            spec = self._started(past) if past.phases else files.get(key)
            if spec is None:  # decided elsewhere, and its YAML is gone
                continue
            experiment = spec.experiment
            if edited := self._safely_edited(key, past, files):
                experiment = with_safe_edits(experiment, edited.experiment)
            known[key] = RegisteredExperiment(
                experiment=experiment,
                state=past.state,
                started_at=past.started_at,
                compared_since=past.compared_since,
                ended_at=past.ended_at,
                phases=past.phases,
                spec_sha256=spec.sha256,
                verdict=past.verdict,
                path=files[key].path if key in files else None,
                resolved=past.resolved,
                plan=past.plan,
                looks=past.looks,
                calendar=settings.calendar,
                calendar_at_start=past.calendar,
                holdout_at_start=past.holdout,
                remedies=remedies.get(key, Remedies()),
                rates=rates.get(key),
                rates_now=now,
            )
        for key, file in files.items():
            if key not in known:
                known[key] = replace(
                    _untouched(file),
                    calendar=settings.calendar,
                    remedies=remedies.get(key, Remedies()),
                    rates=rates.get(key),
                    rates_now=now,
                )
        return known

    def _safely_edited(
        self, key: str, past: Past, files: Mapping[str, SpecFile]
    ) -> SpecFile | None:
        """The file whose safe edits are in force: on disk while it runs, as kept at its stop."""
        if past.state in {State.RUNNING, State.PAUSED}:
            return files.get(key)
        return kept_spec(self.workspace, past.edited_sha256) if past.edited_sha256 else None

    def _edit(
        self,
        key: str,
        past: Past,
        files: Mapping[str, SpecFile],
        problems: list[SpecError],
    ) -> Edit | SpecError | None:
        path = self.workspace.root / past.spec_file
        broken = next((problem for problem in problems if problem.path == path), None)
        if broken and key not in files:
            return broken
        return find_edit(key, self._started(past), files, path)

    def _started(self, past: Past) -> SpecFile:
        return kept_spec(self.workspace, past.spec_sha256)

    def _first_phase(
        self,
        experiment: Experiment,
        at: datetime,
        *,
        rows: list[JournalRow] | None = None,
        path: Path | None = None,
    ) -> Phase:
        rows = self.rows() if rows is None else rows
        return Phase(
            number=1,
            starts_at=at,
            ends_at=None,
            slots=self._slots(experiment, (), rows, at, path),
            exposure=share_range(experiment.ramp[0].traffic),
            variants=bucket_ranges(experiment.weights),
            weights=experiment.weights,
        )

    def _slots(
        self,
        experiment: Experiment,
        own: tuple[BucketRange, ...],
        rows: list[JournalRow],
        at: datetime,
        path: Path | None,
    ) -> tuple[BucketRange, ...]:
        """Bring an experiment's slots to its share of the layer, beside its neighbours'."""
        layer = experiment.own_layer
        neighbours = {
            key: past
            for key, past in replay(rows).items()
            if key != experiment.key
            and past.layer == layer.name
            and (past.ended_at is None or past.ended_at > at)
        }
        try:
            for key, past in neighbours.items():
                self._refuse_other_unit(experiment, key, past)
            holders = {key: _held_since(past, at) for key, past in neighbours.items()}
            return resize_slots(layer, own, holders)
        except RegistryError as error:
            place = path or self.find(experiment.key).path
            line = line_of(place, "layer:") if place else None
            raise RegistryError(error.message, path=place, line=line, remedy=error.remedy) from None

    def _refuse_other_unit(self, experiment: Experiment, key: str, past: Past) -> None:
        unit = self._started(past).experiment.unit
        if unit != experiment.unit:
            raise RegistryError(
                f"layer {past.layer!r} is split by {unit} ({key}), {experiment.key} by "
                f"{experiment.unit}: they could share a person",
                remedy=f"use `unit: {unit}`, or put {experiment.key} into another layer",
            )


def _held_since(past: Past, at: datetime) -> tuple[BucketRange, ...]:
    """Every slot that an experiment has, or had at some time since a moment."""
    *earlier, last = past.phases
    since = [one for one in earlier if one.ends_at is None or one.ends_at > at]
    held = [slot for phase in (*since, last) for slot in phase.slots]
    return tuple(free_ranges(free_ranges(held)))


def _is_told(row: JournalRow, key: str) -> bool:
    """Whether a withdrawal began a phase of an experiment."""
    return row.action == WITHDRAW and key in row.detail["phases"]


def plan_of(registered: RegisteredExperiment, moment: datetime, holdout: float) -> AssignmentPlan:
    """Return what decides about units at a moment.

    Args:
        registered: An experiment with at least one phase.
        moment: Before the first phase it is that one, not running.
        holdout: The share of units that no experiment touches, 0 … 1, by abp.yaml now; what it
            said when the experiment started wins.
    """
    begun = [phase for phase in registered.phases if phase.starts_at <= moment]
    phase = begun[-1] if begun else registered.phases[0]
    running = phase.ends_at is None or moment < phase.ends_at
    return AssignmentPlan(
        experiment_key=registered.key,
        layer_name=registered.experiment.own_layer.name,
        phase=phase,
        running=running and bool(begun),
        holdout=holdout if registered.holdout_at_start is None else registered.holdout_at_start,
        targeting=registered.experiment.targeting,
        forced={
            unit: variant
            for variant, units in registered.experiment.forced.items()
            for unit in units
        },
    )


def _untouched(file: SpecFile) -> RegisteredExperiment:
    external = file.experiment.assignment == "external"
    return RegisteredExperiment(
        experiment=file.experiment,
        state=State.RUNNING if external else State.DRAFT,
        started_at=None,
        ended_at=None,
        phases=(),
        spec_sha256=file.sha256,
        path=file.path,
    )


def refuse_external(experiment: Experiment) -> None:
    """Refuse to start or assign an experiment whose units are assigned elsewhere.

    Raises:
        RegistryError: They are.
    """
    if experiment.assignment == "external":
        raise RegistryError(
            f"{experiment.key} has `assignment: external`: its variants come from the log",
            remedy="ingest its log and analyze it; it needs no start and assigns nobody",
        )
