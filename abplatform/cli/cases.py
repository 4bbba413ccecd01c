"""The store opened for a question about experiments, with everything sealed loaded first."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Generic, TypeVar

from abplatform.cli.options import name_person, progress
from abplatform.errors import AbplatformError, RegistryError
from abplatform.workspace import Workspace
from abplatform.yaml_text import nearest

if TYPE_CHECKING:
    from abplatform.analysis.scorecard import Run
    from abplatform.domain.experiment import Experiment
    from abplatform.logs.store.answering import Store
    from abplatform.logs.store.warehouse import Warehouse
    from abplatform.traffic.registry import RegisteredExperiment

__all__ = ["OpenStore", "open_store"]

Opened = TypeVar("Opened", bound="Store")


@dataclass(frozen=True, slots=True)
class OpenStore(Generic[Opened]):
    """The open store and every experiment that has rows in it or a YAML file.

    Args:
        workspace: Whose store.
        warehouse: Open; one of the workspace's own is under its lock.
        registered: Experiments with a YAML file or a journal, by key.
        declared: Experiments that only a mapping file declares, by key.
        problems: What is wrong with YAML files that cannot be used.
    """

    workspace: Workspace
    warehouse: Opened
    registered: Mapping[str, RegisteredExperiment]
    declared: Mapping[str, Experiment]
    problems: tuple[AbplatformError, ...]

    def find(self, key: str) -> Experiment:
        """Return one experiment.

        Raises:
            RegistryError: Nobody knows the key; names the nearest one.
            SpecError: Its YAML may be one of those that cannot be used.
        """
        if key in self.registered:
            return self.registered[key].experiment
        if key in self.declared:
            return self.declared[key]
        if self.problems:
            raise self.problems[0]
        near = nearest(key, sorted({*self.registered, *self.declared}))
        raise RegistryError(
            f"there is no experiment {key!r}",
            path=self.workspace.experiments,
            remedy=(
                f"the nearest key is {near!r}" if near else "see `abp status` for those there are"
            ),
        )

    def run(self, key: str) -> Run:
        """Return how one experiment ran, with what was done about its split."""
        from abplatform.analysis.scorecard import Run
        from abplatform.logs.sources import silent_sources
        from abplatform.traffic.registry import Registry

        now, silent = self.workspace.clock(), silent_sources(self.workspace)
        if key in self.registered:
            run = Run.of(Registry(self.workspace).find(key), now=now)
            return replace(run, silent_sources=silent)
        remedies = Registry(self.workspace).remedies(key)
        return Run(
            now=now,
            excluded_sources=remedies.excluded_sources,
            srm_acknowledged=remedies.acknowledged,
            refused=remedies.refused,
            silent_sources=silent,
        )


@contextmanager
def open_store(
    workspace: Workspace, job: str, *, read_sources: bool = False
) -> Iterator[OpenStore[Warehouse]]:
    """Lock the workspace and open a store that holds everything sealed.

    Sealed segments that are not loaded yet are loaded first.

    Args:
        workspace: Whose store.
        job: What is done with it, for whoever waits.
        read_sources: Whether this counts as reading every source up to now, as an ingest does, so
            that rows become final. Who only asks leaves that alone.
    """
    from abplatform.logs.load import ingest
    from abplatform.logs.load.declared import declared_experiments
    from abplatform.logs.store.warehouse import Warehouse
    from abplatform.traffic.registry import Registry

    if read_sources or _is_behind(workspace, job):
        Registry(workspace).fix_rates(who=name_person())
        facts = {name: one.facts for name, one in Registry(workspace).usable()[0].items()}
        with progress("loading what is sealed") as advance:
            ingest(workspace, facts, advance=advance)
    with workspace.lock(job), Warehouse.open(workspace) as warehouse:
        # Read again: somebody may have started, stopped or looked while this waited for the lock.
        registered, problems = Registry(workspace).usable()
        declared = declared_experiments(warehouse)
        yield OpenStore(workspace, warehouse, registered, declared, tuple(problems))


def _is_behind(workspace: Workspace, job: str) -> bool:
    """Whether a sealed segment is not in the store."""
    from abplatform.logs.landing import sealed_segments
    from abplatform.logs.store.warehouse import Warehouse

    with workspace.lock(job), Warehouse.open(workspace) as warehouse:
        loaded = set(warehouse.query("load/segments")["segment_number"])
    return any(segment.number not in loaded for segment in sealed_segments(workspace))
