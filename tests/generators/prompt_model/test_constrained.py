import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast

from generators.prompt_model.constrained import NextTokens, SceneGrammar, token_texts
from generators.scene import VOCABULARY, Scene, scene_from_text

GRAMMAR = SceneGrammar.of(VOCABULARY)
scenes = st.fixed_dictionaries({part: st.sampled_from(words) for part, words in VOCABULARY.items()})


@given(words=scenes)
def test_every_scene_is_in_the_grammar(words):
    """The text form of any scene ends in the grammar's end."""
    assert GRAMMAR.advance((0, ""), " " + Scene(**words).to_text()) == GRAMMAR.end


@given(words=scenes, at=st.integers(1, 120), letter=st.sampled_from("xq!Z,"))
@settings(max_examples=200)
def test_what_is_no_scene_is_not(words, at, letter):
    """A text is accepted exactly if it reads back as a scene in the order of the text form."""
    text = Scene(**words).to_text()
    spoiled = text[: at % len(text)] + letter + text[at % len(text) :]
    accepted = GRAMMAR.advance((0, ""), " " + spoiled) == GRAMMAR.end
    assert not accepted


def other_tokenizer():
    """Words that begin with a marked space, as Llama's vocabulary has them, and single letters."""
    letters = sorted(set("abcdefghijklmnopqrstuvwxyz,▁"))
    pieces = ["▁surface", "▁oak", "▁back", "drop", "▁ar", "ch▁", "▁light,", ",▁", "soft▁left"]
    words = ["<unk>", "</s>", *letters, *pieces]
    inner = Tokenizer(models.WordLevel(dict(zip(words, range(99), strict=False)), "<unk>"))
    inner.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.Metaspace()])
    inner.decoder = decoders.Metaspace()
    special = {"unk_token": "<unk>", "eos_token": "</s>"}
    return PreTrainedTokenizerFast(tokenizer_object=inner, **special)


@pytest.mark.parametrize("seed", range(4))
def test_random_tokens_along_the_grammar_read_back_as_scenes(seed, untrained, qwen):
    """With any tokenizer, a random walk over allowed tokens ends in a scene of the vocabulary."""
    for tokenizer in (untrained.processor.tokenizer, qwen.processor.tokenizer, other_tokenizer()):
        texts = token_texts(tokenizer)
        only = NextTokens(GRAMMAR, texts, (tokenizer.eos_token_id,))
        rng, state, written = np.random.default_rng(seed), (0, ""), []
        while state != GRAMMAR.end:
            allowed = only.after(state)
            token = allowed[int(rng.integers(len(allowed)))]
            written.append(token)
            state = GRAMMAR.advance(state, texts[token])
        text = tokenizer.decode(written)
        assert scene_from_text(text).to_text() == text.strip()
        assert only.after(state) == [tokenizer.eos_token_id]


def test_the_next_tokens_are_all_that_stay_in_the_grammar(untrained):
    """Anywhere in a scene, exactly those tokens may come whose letters stay in the grammar."""
    texts = token_texts(untrained.processor.tokenizer)
    following = NextTokens(GRAMMAR, texts, (2,))
    for said in ("", " ", " black", " oak surface, ", " oak surface, sea backdrop, s"):
        state = GRAMMAR.advance((0, ""), said)
        slow = [t for t, text in enumerate(texts) if text and GRAMMAR.advance(state, text)]
        assert following.after(state) == slow
        assert slow


def test_the_longest_scene_fits():
    """No scene is longer than the grammar says, and one is as long."""
    longest = Scene(**{part: max(words, key=len) for part, words in VOCABULARY.items()})
    assert len(" " + longest.to_text()) == GRAMMAR.longest
