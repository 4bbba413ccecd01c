"""A reward model as one ONNX file: every net, the temperature and the base rates, in int8.

Weights are rounded to int8 by column of each matrix, activations by tensor while the model runs
(dynamic quantisation, ONNX Runtime). With weights by matrix instead of by column, agreement with
the full model on the winner fell from 0.97 to 0.93 on real headlines. The fixed statistics of a
picture (``Glance``) stay in float: differences of means would drown in rounding. So do
convolutions, which ONNX Runtime runs in int8 at a fifth of the speed of float32.

As a tensor holds several items, what one item's activations are rounded to depends a little on
those that are scored beside it, less than on the rounding itself; the same call gives the same
bytes. Scored one by one, without that, headlines took twice as long. Weights in blocks, with
activations rounded by row (``MatMulNBits``), took three times as long.

On x86 processors without VNNI sums may saturate, so a form is measured where it will run.
"""

from __future__ import annotations

import copy
import logging
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from tokenizers import Tokenizer
from torch import Tensor, nn
from transformers import AutoConfig, PreTrainedModel

from abplatform.errors import CheckpointError, NotInstalled
from reward.model import Batch, RewardConfig, RewardModel
from reward.words import PAD

__all__ = ["OnnxModel", "to_float32", "to_int8"]

_CHUNK = 16
"""Items that run together, of like length, so that little padding is computed."""

_OUTPUTS = ("pair", "point")


class OnnxModel:
    """Runs a model's ONNX form on one thread; scores like a :class:`~reward.model.RewardModel`.

    Args:
        config: The shape of the model that was exported.
        tokenizer: Of its pre-trained encoder of texts, if it has one.
        form: The file's bytes; taken from memory, so that it can name no other file.

    Raises:
        CheckpointError: They are no ONNX model.
        NotInstalled: The package onnxruntime is missing.
    """

    def __init__(self, config: RewardConfig, tokenizer: Tokenizer | None, form: bytes) -> None:
        self.config = config
        self.tokenizer = tokenizer
        try:
            import onnxruntime
        except ImportError:
            raise NotInstalled("onnxruntime", extra="models") from None
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        options.log_severity_level = 4
        try:
            self._session = onnxruntime.InferenceSession(
                form, options, providers=["CPUExecutionProvider"]
            )
        except Exception as error:  # its errors share no base but this
            raise CheckpointError(
                f"this is no model of ONNX: {str(error).splitlines()[0]}",
                remedy="make it again with `abp reward shrink`",
            ) from error
        if self._asked() != _shapes(config):
            raise CheckpointError(
                "this form was made of a model of another shape",
                remedy="make it again with `abp reward shrink`",
            )
        self._pad = _pad(config)

    def each(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Return every member's calibrated pair score and click logit, both (members, N)."""
        order = torch.arange(len(batch.base))
        if batch.texts is not None:
            order = self._lengths(batch.texts).argsort(stable=True)
        parts = [self._run(batch, rows) for rows in torch.split(order, _CHUNK)]
        pair, point = (torch.cat(part, 1)[:, order.argsort()] for part in zip(*parts, strict=True))
        return pair, point

    def _run(self, batch: Batch, rows: Tensor) -> tuple[Tensor, Tensor]:
        needed, product = torch.unique(batch.product[rows], return_inverse=True)
        texts = None if batch.texts is None else batch.texts[rows]
        if texts is not None:
            texts = texts[:, : max(1, int(self._lengths(texts).max()))]
        chunk = Batch(
            pictures=None if batch.pictures is None else batch.pictures[rows],
            seen=None,
            texts=texts,
            products=batch.products[needed],
            product=product,
            tastes=batch.tastes[rows],
            base=batch.base[rows],
        )
        feed = {name: tensor.numpy() for name, tensor in _named(chunk).items()}
        pair, point = self._session.run(list(_OUTPUTS), feed)
        return torch.from_numpy(pair), torch.from_numpy(point)

    def _asked(self) -> dict[str, tuple[int | None, ...]]:
        """Return each input's sizes, None where it takes any."""
        return {
            one.name: tuple(size if isinstance(size, int) else None for size in one.shape)
            for one in self._session.get_inputs()
        }

    def _lengths(self, texts: Tensor) -> Tensor:
        """Return how many word pieces or hashed words each text has, (N)."""
        there = texts != self._pad
        return (there.any(2) if texts.dim() == 3 else there).sum(1)


def to_float32(model: RewardModel) -> bytes:
    """Return a model as ONNX, in float32, with the scores of the model but for rounding.

    Args:
        model: In evaluation mode.

    Raises:
        NotInstalled: The package onnx or onnxscript is missing.
    """
    try:
        import onnx
        import onnxscript  # noqa: F401  # the exporter needs it
    except ImportError as error:
        raise NotInstalled(error.name or "onnx", extra="models") from None
    exported = _Flat(copy.deepcopy(model)).eval()
    for module in exported.modules():
        if isinstance(module, PreTrainedModel):  # fused attention asks for sizes known beforehand
            module.set_attn_implementation("eager")
    batch = _named(_example(model.config))
    free = torch.export.Dim.DYNAMIC
    with _quiet():
        program = torch.onnx.export(
            exported,
            kwargs=batch,
            dynamic_shapes={name: dict.fromkeys(_free(name), free) for name in batch},
            output_names=_OUTPUTS,
            dynamo=True,
            verbose=False,
        )
    assert program is not None  # noqa: S101  # no file was named, so it comes back
    proto = program.model_proto
    assert isinstance(proto, onnx.ModelProto)  # noqa: S101  # what the exporter makes
    whole: bytes = proto.SerializeToString()
    return whole


def to_int8(model: RewardModel) -> bytes:
    """Return a model as ONNX, in int8.

    Args:
        model: In evaluation mode.

    Raises:
        NotInstalled: The package onnx or onnxscript is missing.
    """
    whole = to_float32(model)
    import onnx
    from onnxruntime.quantization import quantize_dynamic

    graph = onnx.load_from_string(whole).graph
    with tempfile.TemporaryDirectory() as folder, _quiet():
        before, after = Path(folder, "whole.onnx"), Path(folder, "int8.onnx")
        before.write_bytes(whole)
        quantize_dynamic(
            before,
            after,
            per_channel=True,
            nodes_to_exclude=[
                node.name
                for node in graph.node
                if node.op_type == "Conv"
                or any(".glance" in told.value for told in node.metadata_props)
            ],
        )
        small = onnx.load(after)
    # what the exporter tells of where a node comes from names files of this machine
    for node in small.graph.node:
        del node.metadata_props[:]
        node.doc_string = ""
    for value in (*small.graph.value_info, *small.graph.input, *small.graph.output):
        del value.metadata_props[:]
    form: bytes = small.SerializeToString(deterministic=True)
    return form


class _Flat(nn.Module):
    """A model whose batch comes as plain tensors, as ONNX knows nothing else."""

    def __init__(self, model: RewardModel) -> None:
        super().__init__()
        self.model = model

    def forward(
        self,
        *,
        products: Tensor,
        product: Tensor,
        tastes: Tensor,
        base: Tensor,
        pictures: Tensor | None = None,
        texts: Tensor | None = None,
    ) -> tuple[Tensor, Tensor]:
        return self.model.each(Batch(pictures, None, texts, products, product, tastes, base))


def _named(batch: Batch) -> dict[str, Tensor]:
    """Return a batch's tensors by name, without those that it lacks."""
    tensors = {
        "pictures": batch.pictures,
        "texts": batch.texts,
        "products": batch.products,
        "product": batch.product,
        "tastes": batch.tastes,
        "base": batch.base,
    }
    return {name: tensor for name, tensor in tensors.items() if tensor is not None}


def _example(config: RewardConfig) -> Batch:
    """Return a batch to trace by; no two of its sizes are alike, so none is taken for another."""
    items, products, words = 3, 2, 5
    texts = torch.full((items, words), 1 + _pad(config))
    if config.text_encoder is None:
        texts = texts.unsqueeze(2).repeat(1, 1, config.parts)
    return Batch(
        pictures=torch.rand(items, 3, config.image_size, config.image_size)
        if config.images
        else None,
        seen=None,
        texts=texts if config.texts else None,
        products=torch.ones(products, 4, config.parts, dtype=torch.long),
        product=torch.arange(items) % products,
        tastes=torch.ones(items, 5, dtype=torch.long),
        base=torch.zeros(items, dtype=torch.long),
    )


def _free(name: str) -> tuple[int, ...]:
    """Return which sizes of an input differ from batch to batch."""
    return (0, 1) if name in {"products", "texts"} else (0,)


def _shapes(config: RewardConfig) -> dict[str, tuple[int | None, ...]]:
    """Return each input's sizes, None where they differ from batch to batch."""
    return {
        name: tuple(None if at in _free(name) else size for at, size in enumerate(tensor.shape))
        for name, tensor in _named(_example(config)).items()
    }


def _pad(config: RewardConfig) -> int:
    """Return the id that stands where a text has ended."""
    if config.text_encoder is None:
        return PAD
    pad: int = AutoConfig.for_model(**config.text_encoder).pad_token_id
    return pad


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep in what the exporter tells of operators that nobody asked for."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            # torch's exporter uses what torch itself deprecates
            warnings.filterwarnings("ignore", ".*LeafSpec", FutureWarning)
            yield
    finally:
        logging.disable(before)
