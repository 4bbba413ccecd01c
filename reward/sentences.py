"""Encoders of ad texts that were pre-trained elsewhere: a BERT-class model of transformers.

Such an encoder knows a language before the first pair is read, so a few thousand pairs suffice to
fine-tune it, where the hashed words of ``WordEncoder`` have to learn every word from clicks. It is
found by folder, by hub id, or in the package that carries it; a trained reward model holds its own
copy and needs neither.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import torch
from safetensors.torch import load_file
from tokenizers import Tokenizer
from torch import Tensor, nn
from transformers import AutoConfig, AutoModel

from abplatform.checkpoints.carried import CARRIED, carried_file, how_to_install
from abplatform.checkpoints.pretrained import check_folder, find_checkpoint
from abplatform.errors import CheckpointError

__all__ = [
    "MINILM",
    "PretrainedText",
    "SentenceEncoder",
    "open_pretrained_text",
    "open_tokenizer",
    "piece_ids",
]

MINILM: Final = "all-minilm-l6-v2"
"""The carried encoder: 22 million weights, English (Apache-2.0)."""

_FOLDERS: Final = {MINILM: "c4a57a7f2011f2562b4fb34246d45976f6bb611ae1810569e0bd235637e8475f"}
"""Carried encoder to the hash of its folder: its weights with tokenizer and configuration."""

_CHUNK = 48
"""Texts of like length that are encoded together, so that little padding is computed."""


@dataclass(frozen=True, slots=True, eq=False)
class PretrainedText:
    """An encoder as it was published.

    Args:
        name: What it was opened by.
        sha256: Of its folder.
        config: Its transformers configuration, as plain data.
        tokenizer: Turns texts into ids.
        weights: Its tensors, float32.
    """

    name: str
    sha256: str
    config: Mapping[str, Any]
    tokenizer: Tokenizer
    weights: Mapping[str, Tensor]


class SentenceEncoder(nn.Module):
    """A transformer over word pieces: ids (N, W) → tokens (N, W, width) and their mask.

    Args:
        config: A transformers configuration of an encoder, as plain data.
    """

    def __init__(self, config: Mapping[str, Any]) -> None:
        super().__init__()
        settings = AutoConfig.for_model(**config)
        self.width: int = settings.hidden_size
        self.pad: int = settings.pad_token_id
        self.transformer = AutoModel.from_config(  # type: ignore[no-untyped-call]  # no annotation
            settings, add_pooling_layer=False
        )

    def forward(self, ids: Tensor) -> tuple[Tensor, Tensor]:
        """Return one token for each word piece, zeros at padding, and which are pieces (N, W)."""
        mask = ids != self.pad
        if torch.compiler.is_compiling():  # an exported graph cannot depend on lengths
            return self._read(ids, mask), mask
        length = mask.sum(1)
        order = length.argsort(stable=True)
        rows = []
        for chunk in torch.split(order, _CHUNK):
            longest = max(1, int(length[chunk].max()))
            seen = self._read(ids[chunk, :longest], mask[chunk, :longest])
            rows.append(nn.functional.pad(seen, (0, 0, 0, ids.shape[1] - longest)))
        return torch.cat(rows)[order.argsort()], mask

    def _read(self, ids: Tensor, mask: Tensor) -> Tensor:
        """Return one token for each word piece, zeros at padding: (N, W, width)."""
        seen: Tensor = self.transformer(input_ids=ids, attention_mask=mask.long()).last_hidden_state
        return seen * mask.unsqueeze(-1)


def open_pretrained_text(named: str, *, layers: int | None = None) -> PretrainedText:
    """Open an encoder by the name it is carried under, by folder or by hub id.

    The last blocks of an encoder are specialised in what it was trained for, and what people click
    is found more easily before them: on pairs of real headlines, a linear readout of MiniLM's
    fourth block is right as often as the whole model fine-tuned (docs/reward.md).

    Args:
        named: ``all-minilm-l6-v2``, a folder that ``save_pretrained`` wrote, or a hub id;
            ``@<sha256>`` at its end pins a folder's or a hub model's bytes.
        layers: Blocks that are kept, from the first; None keeps all.

    Raises:
        CheckpointError: There is none, or it is refused, or it is no encoder of texts.
    """
    if named in CARRIED:
        path = carried_file(named)
        if path is None:
            raise CheckpointError(f"{named} is not installed", remedy=how_to_install(named))
        found = check_folder(path.parent, sha256=_FOLDERS[named])
    else:
        found = find_checkpoint(named, kind="text encoder")
    files = sorted(found.folder.glob("*.safetensors"))
    vocabulary = found.folder / "tokenizer.json"
    if len(files) != 1 or not vocabulary.is_file():
        raise CheckpointError(
            "this is no text encoder: one file of safetensors and a tokenizer.json are needed",
            path=found.folder,
            remedy="name a folder with a BERT-class model and its fast tokenizer",
        )
    config = AutoConfig.from_pretrained(found.folder).to_diff_dict()
    if layers is not None:
        config["num_hidden_layers"] = min(layers, _count_layers(config))
    weights = _encoder_weights(load_file(files[0]), config, found.folder)
    return PretrainedText(named, found.sha256, config, open_tokenizer(vocabulary), weights)


def open_tokenizer(path: Path) -> Tokenizer:
    """Read a tokenizer.json; what it says of padding and cutting is left to :func:`piece_ids`."""
    tokenizer = Tokenizer.from_file(str(path))
    tokenizer.no_padding()
    tokenizer.no_truncation()
    return tokenizer


def piece_ids(
    texts: Sequence[str], tokenizer: Tokenizer, config: Mapping[str, Any], *, longest: int
) -> Tensor:
    """Turn texts into ids of word pieces.

    Args:
        texts: N texts.
        tokenizer: The encoder's.
        config: The encoder's transformers configuration.
        longest: Pieces read of a text at most.

    Returns:
        N x W; W is the longest text's.
    """
    pad = AutoConfig.for_model(**config).pad_token_id
    tokenizer.enable_truncation(longest)
    pieces = [coded.ids for coded in tokenizer.encode_batch(list(texts))]
    ids = torch.full((len(pieces), max(map(len, pieces), default=1)), pad)
    for row, piece in enumerate(pieces):
        ids[row, : len(piece)] = torch.tensor(piece)
    return ids


def _count_layers(config: Mapping[str, Any]) -> int:
    count: int = AutoConfig.for_model(**config).num_hidden_layers
    return count


def _encoder_weights(
    found: Mapping[str, Tensor], config: Mapping[str, Any], folder: Path
) -> dict[str, Tensor]:
    """Pick the encoder's tensors; a model with a head has them below one more name."""
    wanted = SentenceEncoder(config).transformer.state_dict()
    for prefix in ("", f"{config['model_type']}."):
        if all(prefix + name in found for name in wanted):
            return {name: found[prefix + name].float() for name in wanted}
    missing = next(name for name in wanted if name not in found)
    raise CheckpointError(
        f"this is no text encoder of transformers: {missing} is missing",
        path=folder,
        remedy="name a folder with a BERT-class model that `save_pretrained` wrote",
    )
