"""``make weights``: train the small models that come with the wheel anew.

Every model has a function here that trains it into a folder; what it needs of several packages
meets here. Training is seeded, keeps its state in a work folder and goes on from there.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType

import click

from abplatform.cli.options import Advance, progress

__all__ = ["MODELS", "weights"]

PACKAGES = "packages.parquet"
"""The Upworthy Research Archive's table, which has to be put into the work folder by hand."""

Train = Callable[[Path, Path, Advance], None]
"""Trains one model: into which folder, with states in which other, telling how far it is."""


def _diffusion(out: Path, work: Path, advance: Advance) -> None:
    from generators.renderers.diffusion.train import train_diffusion

    train_diffusion(out, work=work, advance=advance)


def _scene_classifier(out: Path, work: Path, advance: Advance) -> None:
    from generators.families import FAMILIES
    from generators.renderers.diffusion.classifier import save_classifier, train_classifier
    from generators.renderers.diffusion.train import Recipe, learning_pictures

    # the same pictures as the diffusion model's, so they lie in its work folder
    pictures = learning_pictures(Recipe(), work=work.with_name("diffusion"))
    learned = pictures.first(5600)  # it is judged by the rest
    save_classifier(train_classifier(learned, tuple(FAMILIES), advance=advance), out)


def _prompt_model(out: Path, work: Path, advance: Advance) -> None:
    from generators.prompt_model.embedding import learn_prompt_model

    work.mkdir(parents=True, exist_ok=True)
    learn_prompt_model(out, rest=work, advance=advance)


def _ad_text(out: Path, work: Path, advance: Advance) -> None:  # noqa: ARG001 - it takes minutes
    from generators.ad_text.embedding import learn_ad_text

    learn_ad_text(out, advance=advance)


def _places(out: Path, work: Path, advance: Advance) -> None:  # noqa: ARG001 - it takes minutes
    from generators.inspector.place_learning import learn_places

    learn_places(out, advance=advance)


def _headlines(out: Path, work: Path, advance: Advance) -> None:
    from generators.ad_text.headlines import learn_headlines, read_pairs

    learn_headlines(out, read_pairs(work / PACKAGES).split()[0], advance=advance)


MODELS: Mapping[str, Train] = MappingProxyType(
    {
        "diffusion": _diffusion,
        "scene_classifier": _scene_classifier,
        "prompt_model": _prompt_model,
        "ad_text": _ad_text,
        "places": _places,
        "headlines": _headlines,
    }
)
"""Folder below ``generators/weights`` to what trains it, in this order."""


@click.command()
@click.argument("model", type=click.Choice([*MODELS, "all"]), default="all")
@click.option(
    "--out",
    type=click.Path(path_type=Path, file_okay=False),
    required=True,
    help="Folder of the weights; every model gets one below it.",
)
@click.option(
    "--work",
    type=click.Path(path_type=Path, file_okay=False),
    default=Path("weights-work"),
    show_default=True,
    help="Folder for pictures and states; training goes on from what is there.",
)
def weights(model: str, out: Path, work: Path) -> None:
    """Train the embedded MODEL (or all of them) and list their hashes in OUT/manifest.json."""
    import torch

    from generators.weights import write_weights_manifest

    torch.set_num_threads(1)  # the same sums in the same order on every machine
    names = list(MODELS) if model == "all" else [model]
    if "headlines" in names and not (lacking := work / "headlines" / PACKAGES).is_file():
        if model == "headlines":
            raise click.UsageError(f"{lacking} is missing; docs/ad-text.md says what belongs there")
        click.echo(f"headlines are left as they are: {lacking} is missing")
        names.remove("headlines")
    for name in names:
        with progress(f"training {name}") as advance:
            MODELS[name](out / name, work / name, advance)
    for name, sha256 in write_weights_manifest(out).items():
        click.echo(f"{name}  {sha256}")


if __name__ == "__main__":
    weights()
