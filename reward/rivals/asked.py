"""A judge that learns nothing: a multimodal model is asked which of two gets more clicks.

It is shown both pictures and told both texts as A and B; what counts is not what it would write but
how likely either letter is as its next token. Models have a liking for the first or for the last
(Zheng et al., arXiv 2306.05685), so it is asked in both orders.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jinja2 import TemplateError
from numpy.typing import NDArray
from PIL import Image

from abplatform.checkpoints.multimodal import first_line, put_question, read_model
from abplatform.checkpoints.pretrained import find_checkpoint
from abplatform.creatives import clean_title
from abplatform.errors import CheckpointError, TrainingError
from reward.dataset import Item
from reward.evaluate import Forecast
from reward.pictures import picture_files, read_picture
from reward.rivals.contest import Part, turn_sides
from reward.words import describe_product

__all__ = ["Judge", "open_judge", "tell_pair"]

_SEEN = 448
"""Longest side of a picture in pixels as it is shown; models shrink it further."""

_LETTERS = ("A", "B")


@dataclass(frozen=True, slots=True)
class Judge:
    """Says which of two creatives gets more clicks.

    Args:
        name: As it was named.
        sha256: Of its checkpoint.
        model: In evaluation mode.
        processor: Its tokenizer and what turns pictures into tensors.
        letters: The tokens of A and of B.
    """

    name: str
    sha256: str
    model: Any
    processor: Any
    letters: tuple[int, int]

    def judge(self, part: Part, *, advance: Callable[[int, int], None] | None = None) -> Forecast:
        """Ask about every pair in both orders.

        Args:
            part: P pairs; pictures are read as they are, from ``part.images``.
            advance: Told how many pairs are done of how many.

        Raises:
            TrainingError: There are neither pictures nor texts, or a picture is not as it was.
            CheckpointError: The model cannot be asked such a question.
        """
        table, files = part.table, _files(part)
        if not files and not any(item.text for item in table.items):
            raise TrainingError(
                "a judge needs pictures or ad texts and there are none",
                remedy="name the pictures' folder with --images",
            )
        said = np.empty((2, len(table)))
        for row, (chosen, rejected) in enumerate(zip(table.chosen, table.rejected, strict=True)):
            one, other = table.items[chosen], table.items[rejected]
            said[0, row] = self.first_wins(one, other, files)
            said[1, row] = 1 - self.first_wins(other, one, files)
            if advance:
                advance(row + 1, len(table))
        return turn_sides(table, said[0], said[1])

    def first_wins(self, first: Item, second: Item, files: Mapping[str, Path]) -> float:
        """Return the probability of A against B; without files of pictures texts alone are told.

        Raises:
            CheckpointError: The model cannot be asked such a question.
        """
        pictures = [_show(files[item.image], item) for item in (first, second)] if files else []
        question = tell_pair(first, second, pictures=bool(files))
        try:
            inputs = put_question(self.processor, question, pictures)
            return self._first_letter(inputs)
        except (LookupError, RuntimeError, TemplateError, TypeError, ValueError) as error:
            raise CheckpointError(
                f"the judge cannot be asked about {'two pictures' if files else 'texts alone'}: "
                f"{first_line(error)}",
                path=self.name,
                remedy="name a model with a chat template that takes several pictures in one turn",
            ) from error

    @torch.inference_mode()
    def _first_letter(self, inputs: Mapping[str, Any]) -> float:
        kind, device = self.model.dtype, self.model.device
        placed = {
            name: value.to(device, kind if value.is_floating_point() else value.dtype)
            for name, value in inputs.items()
        }
        logits = self.model(**placed, use_cache=False).logits[0, -1, list(self.letters)]
        return float(torch.softmax(logits.double(), dim=0)[0])


def open_judge(named: str) -> Judge:
    """Open a multimodal model; on an accelerator it runs in half precision.

    Args:
        named: A folder or a hub id; ``@<sha256>`` at its end pins the bytes.

    Raises:
        CheckpointError: It is missing, refused, no model of pictures and text, or writes A or B as
            several tokens.
    """
    where = find_checkpoint(named, kind="judge")
    processor, model = read_model(where)
    if torch.cuda.is_available():
        model = model.to("cuda", torch.bfloat16)
    letters = [processor.tokenizer.encode(one, add_special_tokens=False) for one in _LETTERS]
    unknown = processor.tokenizer.unk_token_id
    if letters[0] == letters[1] or any(len(one) != 1 or one == [unknown] for one in letters):
        raise CheckpointError(
            "its tokenizer has no token of its own for each of the answers A and B",
            path=where.folder,
            remedy="name a model whose vocabulary has both letters",
        )
    return Judge(named, where.sha256, model, processor, (letters[0][0], letters[1][0]))


def tell_pair(first: Item, second: Item, *, pictures: bool) -> str:
    """Return the question; titles and texts are data, each on one line.

    Args:
        first: Called A.
        second: Called B.
        pictures: Whether both pictures come before the question.
    """
    product = clean_title(describe_product(first.title, first.category, first.attributes))
    told = ["Two advertisements for one product ran against each other.", f"Product: {product}"]
    if pictures:
        told.append("The first picture is advertisement A, the second is advertisement B.")
    if first.text or second.text:
        told += [f"Text of A: {clean_title(first.text)}", f"Text of B: {clean_title(second.text)}"]
    told.append("Which one gets more clicks? Answer with A or B only.")
    return "\n".join(told)


def _files(part: Part) -> dict[str, Path]:
    if part.images is None or not part.table.has_images:
        return {}
    return picture_files(part.images, {item.image for item in part.table.items})


def _show(path: Path, item: Item) -> NDArray[np.uint8]:
    image = Image.fromarray(read_picture(path, item.image))
    image.thumbnail((_SEEN, _SEEN))
    return np.asarray(image)
