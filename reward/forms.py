"""Smaller and faster forms of one trained reward model, and what each of them costs.

Every form scores the same items. Differences to the model as it is are paired, on the same pairs,
and their intervals draw whole components.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from statistics import median
from typing import Any

import numpy as np
from numpy.typing import NDArray

from abplatform.errors import CheckpointError
from reward.dataset import PairTable
from reward.evaluate import SIGNIFICANT, hits
from reward.gates import Gain, gain_over
from reward.inputs import Inputs
from reward.model import RewardModel
from reward.onnx_form import OnnxModel, to_int8
from reward.pruning import prune
from reward.score import RewardScorer, pack

__all__ = ["Cost", "Form", "Shrunk", "make_forms", "measure_forms"]

Floats = NDArray[np.float64]

_CONFIDENCE = 0.975
"""Of each bound: both together make a 95 % interval."""
_RUNS = 3
_TIMED = 512
"""Items that are scored by the clock, at most."""


@dataclass(frozen=True, slots=True, eq=False)
class Form:
    """A model that can be scored with, and how large it is.

    Args:
        name: Such as ``int8``.
        scorer: Scores with it.
        size: Bytes of its files, the manifest apart.
    """

    name: str
    scorer: RewardScorer
    size: int


@dataclass(frozen=True, slots=True, eq=False)
class Shrunk:
    """The forms of a model, and the one that is kept.

    Args:
        forms: The first is the model as it is.
        model: What the kept form was made of: pruned if that was asked for.
        kept: Its int8 form, as the bytes of an ONNX file.
    """

    forms: tuple[Form, ...]
    model: RewardModel
    kept: bytes


@dataclass(frozen=True, slots=True)
class Cost:
    """What a form costs and saves.

    Args:
        form: Its name.
        accuracy: Share of all pairs whose likelier winner it prefers; a tie counts half.
        accuracy_significant: The same of clear pairs; None without any.
        change: Accuracy above that of the model as it is, with a 95 % interval; None of itself.
        change_significant: The same on clear pairs; None without any.
        agreement: Share of pairs where it prefers the same side as the model as it is.
        size: Bytes of its files, the manifest apart.
        items_per_second: Scored on one thread, texts and pictures made ready included; median.
    """

    form: str
    accuracy: float
    accuracy_significant: float | None
    change: Gain | None
    change_significant: Gain | None
    agreement: float
    size: int
    items_per_second: float

    def to_json(self) -> dict[str, Any]:
        """Return plain data."""
        return asdict(self)


def make_forms(
    scorer: RewardScorer,
    table: PairTable,
    pictures: NDArray[np.uint8] | None,
    *,
    share: float | None,
) -> Shrunk:
    """Make a model smaller in every way there is.

    Args:
        scorer: Holds the model.
        table: Its items tell which neurons matter; labels are not looked at.
        pictures: M x H x W x 3 in the order of the items, or None.
        share: Of inner neurons to prune; None prunes none.

    Raises:
        CheckpointError: The model is shrunk already, or cannot be pruned so.
        NotInstalled: A package that exports is missing.
    """
    model = scorer.model
    if not isinstance(model, RewardModel):
        raise CheckpointError(
            "this model is in int8 already and cannot be shrunk again",
            path=scorer.checkpoint.folder if scorer.checkpoint else None,
            remedy="name the model that it was made from",
        )
    smaller = model
    if share is not None:
        inputs = Inputs.of(table.items, pictures, model.config, model.tokenizer)
        smaller = prune(model, inputs, share=share)
    forms = [_as_it_is("as it is", model)]
    if model.config.members > 1:
        forms.append(_as_it_is("one net", _first_net(model)))
    form = to_int8(model)
    forms.append(_in_int8("int8", model, form))
    if smaller is not model:
        forms.insert(-1, _as_it_is("pruned", smaller))
        form = to_int8(smaller)
        forms.append(_in_int8("pruned, int8", smaller, form))
    return Shrunk(tuple(forms), smaller, form)


def measure_forms(
    forms: tuple[Form, ...],
    table: PairTable,
    pictures: NDArray[np.uint8] | None,
    *,
    advance: Callable[[int, int], None] | None = None,
) -> list[Cost]:
    """Compare forms on pairs that the model has not seen.

    Args:
        forms: The first is the model as it is, which the others are held against.
        table: P pairs over M items.
        pictures: M x size x size x 3, or None.
        advance: Told how many scorings are done of how many.
    """
    few = min(_TIMED, len(table.items))
    items, seen = table.items[:few], None if pictures is None else pictures[:few]
    said: list[Floats] = []
    seconds: list[list[float]] = [[] for _ in forms]
    jobs = len(forms) * (1 + _RUNS)
    # in turns, so that a slow moment of the machine meets all forms alike
    for job in range(jobs):
        turn, number = divmod(job, len(forms))
        scorer = forms[number].scorer
        if turn == 0:
            said.append(scorer.predict(table, pictures))
        else:
            before = time.perf_counter()
            scorer.score_items(items, seen)
            seconds[number].append(time.perf_counter() - before)
        if advance:
            advance(job + 1, jobs)
    return [
        _cost(form, table, one, said[0], speed=few / median(taken))
        for form, one, taken in zip(forms, said, seconds, strict=True)
    ]


def _cost(form: Form, table: PairTable, said: Floats, full: Floats, *, speed: float) -> Cost:
    clear = np.maximum(table.p_win, 1 - table.p_win) >= SIGNIFICANT
    hit, reference = hits(said, table.p_win), hits(full, table.p_win)

    def change(rows: NDArray[np.bool_]) -> Gain | None:
        if said is full or not rows.any():
            return None
        return gain_over(reference[rows], hit[rows], table.component[rows], confidence=_CONFIDENCE)

    return Cost(
        form=form.name,
        accuracy=float(hit.mean()),
        accuracy_significant=float(hit[clear].mean()) if clear.any() else None,
        change=change(np.ones_like(clear)),
        change_significant=change(clear),
        agreement=float(hits(said, full).mean()),
        size=form.size,
        items_per_second=speed,
    )


def _first_net(model: RewardModel) -> RewardModel:
    one = RewardModel(replace(model.config, members=1), model.tokenizer)
    weights = model.state_dict()
    one.load_state_dict({name: weights[name] for name in one.state_dict()})
    return one.eval()


def _as_it_is(name: str, model: RewardModel) -> Form:
    return Form(name, RewardScorer(model), len(pack(model)) + _tokenizer_size(model))


def _in_int8(name: str, model: RewardModel, form: bytes) -> Form:
    runs = OnnxModel(model.config, model.tokenizer, form)
    return Form(name, RewardScorer(runs), len(form) + _tokenizer_size(model))


def _tokenizer_size(model: RewardModel) -> int:
    return 0 if model.tokenizer is None else len(model.tokenizer.to_str().encode())
