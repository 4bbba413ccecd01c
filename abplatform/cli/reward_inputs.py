"""What several verbs of ``abp reward`` take: pairs, their pictures and a model that reads them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from abplatform import checkpoints
from abplatform.cli.options import progress

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from reward.dataset import PairTable
    from reward.score import RewardScorer

__all__ = ["KIND", "checkpoint_option", "images_option", "open_pairs", "pairs_option"]

KIND = "reward"
"""The kind of checkpoint."""

pairs_option = click.option(
    "--pairs",
    "pairs_file",
    type=click.Path(path_type=Path, dir_okay=False),
    required=True,
    help="Preference pairs as `abp pairs` writes them (Parquet).",
)
images_option = click.option(
    "--images",
    type=click.Path(path_type=Path, file_okay=False, exists=True),
    default=None,
    help="Folder of <sha256>.<image extension>; left out, only texts are read.",
)
checkpoint_option = click.option(
    "--checkpoint",
    type=click.Path(path_type=Path, file_okay=False),
    required=True,
    help="Folder with model.safetensors or model.onnx, and manifest.json.",
)


def open_pairs(
    checkpoint: Path, pairs_file: Path, images: Path | None
) -> tuple[PairTable, NDArray[np.uint8] | None, RewardScorer]:
    """Return the pairs, their items' pictures and what scores them.

    Args:
        checkpoint: The model's folder.
        pairs_file: Parquet.
        images: Folder of pictures; None where the model reads none.

    Raises:
        CheckpointError: The folder is missing, corrupt, or holds another kind of model.
        TrainingError: The pairs cannot be read, or pictures are missing.
    """
    from reward.dataset import read_pairs
    from reward.pictures import pictures_of

    model = checkpoints.read_folder(checkpoint, kind=KIND)
    table = read_pairs(pairs_file)

    from reward.score import RewardScorer

    scorer = RewardScorer.of(model)
    with progress("reading pictures") as advance:
        wanted = images if scorer.reads_images else None
        pictures = pictures_of(table, wanted, size=scorer.image_size, advance=advance)
    return table, pictures, scorer
