"""Language models that write texts, and the sampling that keeps each one within its rules."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import torch
from torch import Tensor
from transformers import AutoModelForCausalLM, AutoTokenizer, LogitsProcessor, LogitsProcessorList

from abplatform.checkpoints.carried import CARRIED, carried_file, how_to_install
from abplatform.checkpoints.pretrained import find_checkpoint
from abplatform.checkpoints.quiet import quietly
from abplatform.errors import CheckpointError
from generators.ad_text.brief import NAME, PLACEHOLDERS, SEGMENT, Brief
from generators.ad_text.guard import Guard
from generators.weights import embedded

__all__ = ["TextModel", "open_text_model"]

TOP_P: Final = 0.95
_CALM: Final = 0.7
"""Temperature of models that answer: at 1 the small ones among them lose their thread."""
_CONSIDERED: Final = 20
"""Tokens that are tried at each step; what is left out has next to no probability."""
_TASK: Final = "Write one short advertising line about the product. Add no facts."
_SHOWN: Final = (
    (
        Brief("Oak desk lamp", "lamps", price="45 EUR"),
        "Oak desk lamp, 45 EUR. Light where you read.",
    ),
    (Brief("Trail socks", "socks", segment="runners"), "Runners: Trail socks for the next hill."),
    (Brief("Harbour tea, mint", "tea", rating="4.6"), "Harbour tea. A quiet cup, rated 4.6."),
)
"""Briefs with their texts that a model which answers is shown, so that it answers alike."""
_GLUED: Final = re.compile(r"[A-Za-z0-9]<\||\|>[A-Za-z0-9]")
"""A fact in the middle of a word."""
_END: Final = re.compile(r"[.!?](?=\s)|[。！？]")  # noqa: RUF001 - Chinese marks
_LONG_WORD: Final = 10
"""What ends so near to the limit without a mark may have been cut off."""
_ENDS: Final = (".", "!", "?", "。", "！", "？")  # noqa: RUF001 - Chinese marks


@dataclass(frozen=True, slots=True)
class TextModel:
    """A causal language model.

    Args:
        name: For the lineage of texts.
        checkpoints: Role to sha256.
        model: In evaluation mode.
        tokenizer: Its tokenizer.
        chats: Whether it answers instructions, so that prompts become a user's turn.
        masked: Whether it writes placeholders where facts stand.
    """

    name: str
    checkpoints: Mapping[str, str]
    model: Any
    tokenizer: Any
    chats: bool = False
    masked: bool = False

    @torch.no_grad()
    def write(
        self,
        brief: Brief,
        guard: Guard,
        *,
        count: int,
        seed: int,
        instead_of: str | None = None,
    ) -> list[str]:
        """Sample texts (top_p 0.95) that break no rule on the way.

        Args:
            brief: What to write about; data, whatever it says.
            guard: What may not be said.
            count: How many.
            seed: Of the sampling.
            instead_of: A text to say in other words.

        Returns:
            Whole texts; none where a model was cut off, or has no name to say.
        """
        values = brief.values(guard.max_length) if self.masked else {}
        if self.masked and NAME not in values:
            return []  # a title of marks alone names nothing
        ids = torch.tensor([self._ids(self.prompt(brief, guard, instead_of=instead_of))])
        rules = _WithinRules(guard, self.tokenizer, start=ids.shape[1], values=values)
        with quietly(), torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            written = self.model.generate(
                input_ids=ids,
                attention_mask=torch.ones_like(ids),
                do_sample=True,
                top_p=TOP_P,
                top_k=0,
                temperature=_CALM if self.chats else 1.0,
                num_return_sequences=count,
                max_new_tokens=guard.max_length,
                logits_processor=LogitsProcessorList([rules]),
                pad_token_id=self.tokenizer.eos_token_id,
            )
        texts = self.tokenizer.batch_decode(written[:, ids.shape[1] :], skip_special_tokens=True)
        tidy = [_tidy(text) for text in texts]
        if self.masked:
            return [fill(text, values) for text in tidy if _is_whole(text)]
        return [whole for text in tidy if (whole := _whole_sentences(text, guard.max_length))]

    def prompt(self, brief: Brief, guard: Guard, *, instead_of: str | None = None) -> str:
        """Return what the model is given."""
        if self.masked:
            return brief.masked_prompt(instead_of=instead_of, max_length=guard.max_length)
        return brief.free or brief.prompt(instead_of=instead_of)

    def _ids(self, prompt: str) -> list[int]:
        # split_special_tokens: a token's name inside data stays letters
        if not self.chats:
            return list(self.tokenizer(prompt, split_special_tokens=True)["input_ids"])
        # data goes in only where the frame is cut, so that it opens no turn of its own
        turns = [{"role": "system", "content": _TASK}]
        for brief, text in _SHOWN:
            turns += [
                {"role": "user", "content": brief.prompt()},
                {"role": "assistant", "content": text},
            ]
        turns.append({"role": "user", "content": "\x00"})
        frame = self.tokenizer.apply_chat_template(
            turns, tokenize=False, add_generation_prompt=True
        )
        before, after = frame.split("\x00")
        return [
            *self.tokenizer(before, add_special_tokens=False)["input_ids"],
            *self.tokenizer(prompt, split_special_tokens=True, add_special_tokens=False)[
                "input_ids"
            ],
            *self.tokenizer(after, add_special_tokens=False)["input_ids"],
        ]


def open_text_model(named: str = "embedded") -> TextModel:
    """Open a language model.

    Args:
        named: ``embedded``, ``smollm2`` (carried by a package), a folder, or a hub id;
            ``@<sha256>`` at its end pins the bytes.

    Raises:
        CheckpointError: It is missing or refused.
    """
    if named == "smollm2":
        return _open_carried("smollm2-135m-instruct")
    where = (
        embedded("ad_text") if named == "embedded" else find_checkpoint(named, kind="text model")
    )
    try:
        safe: dict[str, Any] = {"local_files_only": True, "trust_remote_code": False}
        with quietly():
            tokenizer = AutoTokenizer.from_pretrained(where.folder, **safe)
            model = AutoModelForCausalLM.from_pretrained(
                where.folder, use_safetensors=True, dtype=torch.float32, **safe
            )
    except (OSError, ValueError, KeyError) as error:
        raise CheckpointError(
            f"no language model can be read here: {str(error).splitlines()[0]}",
            path=where.folder,
            remedy="name a folder of a causal language model with its tokenizer",
        ) from error
    kind = str(model.config.model_type)
    chats = getattr(tokenizer, "chat_template", None) is not None
    masked = NAME in tokenizer.get_added_vocab()
    return TextModel(
        f"{kind}/1", {"ad_text": where.sha256}, model.train(mode=False), tokenizer, chats, masked
    )


def _open_carried(carried: str) -> TextModel:
    path = carried_file(carried)
    if path is None:
        raise CheckpointError(f"{carried} is not installed", remedy=how_to_install(carried))
    with quietly():
        tokenizer = AutoTokenizer.from_pretrained(path.parent, gguf_file=path.name)
        model = AutoModelForCausalLM.from_pretrained(
            path.parent, gguf_file=path.name, dtype=torch.float32
        )
    checkpoints = {"ad_text": CARRIED[carried].sha256}
    return TextModel(f"{carried}/1", checkpoints, model.train(mode=False), tokenizer, chats=True)


class _WithinRules(LogitsProcessor):
    """Leaves only tokens after which a text can still become a good one, or end."""

    def __init__(
        self, guard: Guard, tokenizer: Any, *, start: int, values: Mapping[str, str]
    ) -> None:
        self._guard = guard
        self._tokenizer = tokenizer
        self._start = start
        self._values = values
        self._end = int(tokenizer.eos_token_id)
        added = tokenizer.get_added_vocab()
        untold = {added[place] for place in PLACEHOLDERS if place in added and place not in values}
        self._never = frozenset(tokenizer.all_special_ids) | untold

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        """Return scores in which all other tokens are impossible."""
        allowed = torch.full_like(scores, -torch.inf)
        likely = scores.topk(min(_CONSIDERED, scores.shape[1]), dim=-1).indices
        for row, said in enumerate(input_ids[:, self._start :].tolist()):
            good = self._good(said, likely[row].tolist())
            allowed[row, good] = scores[row, good]
        return allowed

    def _good(self, said: list[int], likely: Sequence[int]) -> list[int]:
        if self._end in said:
            return [self._end]
        going = [token for token in likely if token not in self._never]
        texts = self._tokenizer.batch_decode([[*said, token] for token in going])
        good = [
            token
            for token, text in zip(going, texts, strict=True)
            if "\n" not in text.strip() and self._may_go_on(text)
        ]
        text = _tidy(self._tokenizer.decode(said))
        may_end = _is_whole(text) if self._values else bool(text)
        if may_end and not self._guard.faults(fill(text, self._values)):
            return [*good, self._end]
        return good or [self._end]

    def _may_go_on(self, text: str) -> bool:
        if not self._values:
            return self._guard.may_go_on(text)
        once = all(text.count(place) <= 1 for place in PLACEHOLDERS)
        return once and not _GLUED.search(text) and self._guard.may_go_on(fill(text, self._values))


def fill(text: str, values: Mapping[str, str]) -> str:
    """Put facts in the place of their placeholders."""
    if text.lstrip().startswith(SEGMENT):
        text = text.lstrip()
        values = {**values, SEGMENT: values[SEGMENT][:1].upper() + values[SEGMENT][1:]}
    for place, value in values.items():
        text = text.replace(place, value)
    return text


def _is_whole(text: str) -> bool:
    """Tell whether a model with placeholders named the product and came to an end."""
    return NAME in text and text.endswith(_ENDS)


def _whole_sentences(text: str, longest: int) -> str:
    """Return a text without the sentence in which a model ran out of room; perhaps nothing."""
    if text.endswith(_ENDS) or len(text) <= longest - _LONG_WORD:
        return text
    ends = [found.end() for found in _END.finditer(text)]
    return text[: ends[-1]].rstrip() if ends else ""


def _tidy(text: str) -> str:
    """Return a written text without quotes around it and gaps at its ends."""
    return " ".join(text.split()).strip(" \"'“”「」*")
