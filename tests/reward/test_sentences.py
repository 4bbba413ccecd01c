"""Ad texts read by an encoder that was pre-trained elsewhere."""

import json
import shutil
from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import polars as pl
import pytest
import torch
from click.testing import CliRunner
from tokenizers import Tokenizer
from tokenizers.models import WordPiece
from tokenizers.pre_tokenizers import Whitespace
from tokenizers.processors import TemplateProcessing
from transformers import (
    AutoModel,
    BertConfig,
    BertModel,
    PreTrainedTokenizerFast,
    XLMRobertaConfig,
    XLMRobertaModel,
)

from abplatform.checkpoints.carried import is_carried
from abplatform.cli.main import abp
from abplatform.errors import CheckpointError
from reward.dataset import read_pairs
from reward.evaluate import evaluate
from reward.fit import HASHED
from reward.recipe import choose_config
from reward.score import RewardScorer, save_model
from reward.sentences import (
    MINILM,
    SentenceEncoder,
    open_pretrained_text,
    open_tokenizer,
    piece_ids,
)
from reward.train import train

NOW = datetime(2026, 11, 23, tzinfo=UTC)
WORDS = ("fresh", "bold", "soft", "warm", "cold", "tea", "lamp", "shoe", "for", "you", "new", "now")
MARKS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]")
LIKED = "fresh"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A tiny BERT with a tokenizer, as `save_pretrained` writes them."""
    path = tmp_path_factory.mktemp("encoder")
    torch.manual_seed(1)
    config = BertConfig(
        vocab_size=len(MARKS) + len(WORDS),
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=32,
    )
    BertModel(config).save_pretrained(path)
    vocabulary = {word: number for number, word in enumerate((*MARKS, *WORDS))}
    tokenizer = Tokenizer(WordPiece(vocabulary, unk_token=MARKS[1]))
    tokenizer.pre_tokenizer = Whitespace()
    tokenizer.post_processor = TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    PreTrainedTokenizerFast(tokenizer_object=tokenizer).save_pretrained(path)
    return path


@pytest.fixture
def pairs(tmp_path):
    """Pairs of texts without pictures; people click what is fresh."""
    return write_pairs(tmp_path / "pairs.parquet", WORDS)


def write_pairs(path, words, *, liked=LIKED):
    rng = np.random.default_rng(5)
    rows = []
    for number in range(60):
        others = [word for word in words if word != liked]
        texts = [" ".join(rng.choice(others, 4, replace=False)) for _ in range(3)]
        texts[0] = " ".join(rng.permutation([liked, *texts[0].split()[1:]]))
        for turn, (first, second) in enumerate(((0, 1), (2, 0), (1, 2))):
            rows.append(
                {
                    "pair_id": f"{number}-{turn}",
                    "product_id": f"p{number}",
                    "category": "home",
                    "chosen_creative": f"{number}-{first}",
                    "rejected_creative": f"{number}-{second}",
                    "chosen_text": f"{texts[first]} {number}",
                    "rejected_text": f"{texts[second]} {number}",
                    "p_win": {0: 0.99, 1: 0.01, 2: 0.5}[turn],
                }
            )
    pl.DataFrame(rows).write_parquet(path)
    return path


def test_tokens_are_what_the_published_model_says(folder):
    """Texts of many lengths together: each token is the one that transformers finds alone."""
    found = open_pretrained_text(str(folder))
    encoder = SentenceEncoder(found.config)
    encoder.transformer.load_state_dict(found.weights)
    encoder.train(mode=False)
    texts = [" ".join(WORDS[: 1 + number % 9]) for number in range(120)]
    ids = piece_ids(texts, found.tokenizer, found.config, longest=8)
    tokens, mask = encoder(ids)
    assert ids.shape == (120, 8)
    published = AutoModel.from_pretrained(folder).train(mode=False)
    for row in (0, 1, 7, 8, 119):
        alone = ids[row][mask[row]][None]
        expected = published(input_ids=alone).last_hidden_state[0]
        torch.testing.assert_close(tokens[row][mask[row]], expected, rtol=1e-4, atol=1e-5)
        assert (tokens[row][~mask[row]] == 0).all()


def test_an_encoder_that_counts_from_its_padding_is_read(tmp_path):
    """Multilingual E5 is an XLM-R: padding has number 1, and places are counted from there."""
    torch.manual_seed(1)
    marks = ("<s>", "<pad>", "</s>", "<unk>")
    config = XLMRobertaConfig(
        vocab_size=len(marks) + len(WORDS),
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=32,
        max_position_embeddings=32,
    )
    XLMRobertaModel(config).save_pretrained(tmp_path)
    vocabulary = {word: number for number, word in enumerate((*marks, *WORDS))}
    tokenizer = Tokenizer(WordPiece(vocabulary, unk_token=marks[3]))
    tokenizer.pre_tokenizer = Whitespace()
    PreTrainedTokenizerFast(tokenizer_object=tokenizer).save_pretrained(tmp_path)
    found = open_pretrained_text(str(tmp_path))
    encoder = SentenceEncoder(found.config)
    encoder.transformer.load_state_dict(found.weights)
    ids = piece_ids(["tea", "fresh tea for you"], found.tokenizer, found.config, longest=8)
    tokens, mask = encoder.train(mode=False)(ids)
    assert mask.sum(1).tolist() == [1, 4]
    published = AutoModel.from_pretrained(tmp_path).train(mode=False)
    alone = published(input_ids=ids[:1, :1]).last_hidden_state[0]
    torch.testing.assert_close(tokens[0, :1], alone, rtol=1e-4, atol=1e-5)


def test_kept_blocks_are_the_first(folder):
    """With one block kept, tokens are the published model's first hidden state."""
    found = open_pretrained_text(str(folder), layers=1)
    encoder = SentenceEncoder(found.config)
    encoder.transformer.load_state_dict(found.weights)
    encoder.train(mode=False)
    ids = piece_ids(["fresh tea"], found.tokenizer, found.config, longest=8)
    published = AutoModel.from_pretrained(folder).train(mode=False)
    expected = published(input_ids=ids, output_hidden_states=True).hidden_states[1]
    torch.testing.assert_close(encoder(ids)[0], expected, rtol=1e-4, atol=1e-5)


def test_a_fine_tuned_model_needs_no_encoder_beside_it(folder, tmp_path, pairs):
    """Saved and loaded it scores the same, bit for bit, where the encoder's folder is gone."""
    gone = tmp_path / "gone"
    shutil.copytree(folder, gone)
    table = read_pairs(pairs)
    config = choose_config(table, images=False, seed=2, epochs=6, text_encoder=str(gone))
    trained = train(table, None, config)
    shutil.rmtree(gone)
    assert trained.facts["text_encoder"]["name"] == str(gone)
    before = RewardScorer(trained.model).predict(table, None)
    save_model(tmp_path / "model", trained, metadata={}, created_at=NOW)
    scorer = RewardScorer.load(tmp_path / "model")
    np.testing.assert_array_equal(scorer.predict(table, None), before)
    assert (
        evaluate(table, before, scorer.forecast(table, None).back).numbers["accuracy_significant"]
        > 0.9
    )


def test_the_rates_of_the_encoder_are_its_own(folder, pairs):
    """With a fine-tuning rate of 0 the encoder stays as published, up to half precision."""
    table = read_pairs(pairs)
    config = choose_config(table, images=False, epochs=1, text_encoder=str(folder))
    model = train(table, None, replace(config, members=1, fine_tuning_rate=0.0)).model
    published = open_pretrained_text(str(folder), layers=config.encoder_layers).weights
    for name, weight in model.nets[0].sentences.transformer.state_dict().items():
        torch.testing.assert_close(weight, published[name].half().float(), rtol=0, atol=0)


def test_what_reads_texts_is_chosen_by_what_there_is(tmp_path, pairs):
    """English texts alone are read by the carried encoder; beside pictures they are hashed."""
    table = read_pairs(pairs)
    carried = MINILM if is_carried(MINILM) else HASHED
    assert choose_config(table, images=False).text_encoder == carried
    assert choose_config(table, images=True).text_encoder == HASHED
    assert choose_config(table, images=False, text_encoder=HASHED).text_encoder == HASHED
    chinese = write_pairs(tmp_path / "zh.parquet", tuple("新鲜的牛奶每一天好"), liked="鲜")
    assert choose_config(read_pairs(chinese), images=False).text_encoder == HASHED


@pytest.mark.slow
@pytest.mark.skipif(not is_carried(MINILM), reason="the package that carries MiniLM is missing")
def test_the_carried_encoder_reads_words_that_no_pair_has(tmp_path):
    """Learned from a few words, it knows others of the same meaning."""
    warm = ("sunny", "hot", "summer", "beach", "tropical", "heat")
    cold = ("snowy", "icy", "winter", "glacier", "arctic", "frost")
    rows = []
    for number in range(48):
        first, second = warm[number % 4], cold[number // 4 % 4]
        texts = [f"a {word} day of {number} kinds" for word in (first, second)]
        side = {
            "pair_id": str(number),
            "product_id": f"p{number}",
            "category": "travel",
            "chosen_creative": f"{number}-warm",
            "rejected_creative": f"{number}-cold",
        }
        rows.append({**side, "chosen_text": texts[0], "rejected_text": texts[1], "p_win": 0.98})
    path = tmp_path / "pairs.parquet"
    pl.DataFrame(rows).write_parquet(path)
    new = pl.DataFrame(rows[:4]).with_columns(
        chosen_text=pl.Series([f"a {warm[4 + n % 2]} night" for n in range(4)]),
        rejected_text=pl.Series([f"a {cold[4 + n // 2]} night" for n in range(4)]),
    )
    new.write_parquet(tmp_path / "new.parquet")
    table = read_pairs(path)
    config = choose_config(table, images=False, epochs=3)
    assert config.text_encoder == MINILM
    scorer = RewardScorer(train(table, None, config).model)
    assert (scorer.predict(read_pairs(tmp_path / "new.parquet"), None) > 0.5).all()


@pytest.mark.parametrize(
    ("damage", "told"),
    [
        (lambda path: (path / "tokenizer.json").unlink(), "no text encoder"),
        (shutil.rmtree, "no text encoder"),
        (lambda path: (path / "own.py").write_text("print()"), "own Python"),
    ],
)
def test_what_is_no_encoder_is_refused(folder, tmp_path, damage, told):
    """One clear error names what is wrong with a folder."""
    path = tmp_path / "broken"
    shutil.copytree(folder, path)
    damage(path)
    with pytest.raises(CheckpointError, match=told):
        open_pretrained_text(str(path))


def test_the_command_names_what_reads_texts(folder, tmp_path, pairs):
    """`abp reward train --text-encoder` takes a folder and says so; evaluate needs only DIR."""
    out = tmp_path / "model"
    words = ["reward", "train", "--pairs", str(pairs), "--out", str(out), "--epochs", "2", "--json"]
    run = CliRunner().invoke(abp, [*words, "--text-encoder", str(folder)])
    assert run.exit_code == 0, run.output
    assert json.loads(run.stdout)["text_encoder"]["name"] == str(folder)
    assert sorted(path.name for path in out.iterdir()) == [
        "manifest.json",
        "model.safetensors",
        "tokenizer.json",
    ]
    modes = {path.stat().st_mode & 0o777 for path in out.iterdir()}
    assert len(modes) == 1  # whoever may read the manifest may read the weights
    judged = ["reward", "evaluate", "--checkpoint", str(out), "--pairs", str(pairs), "--json"]
    assert json.loads(CliRunner().invoke(abp, judged).stdout)["pairs"] == 180
    wrong = CliRunner().invoke(abp, [*words, "--text-encoder", str(tmp_path / "none")])
    assert isinstance(wrong.exception, CheckpointError)
    assert "no text encoder" in str(wrong.exception)


def test_a_tokenizer_keeps_its_words(folder, tmp_path):
    """Cutting texts while reading leaves no trace in the kept tokenizer."""
    tokenizer = open_tokenizer(folder / "tokenizer.json")
    config = open_pretrained_text(str(folder)).config
    assert piece_ids(["fresh tea for you now"], tokenizer, config, longest=4).shape == (1, 4)
    assert piece_ids(["fresh tea for you now"], tokenizer, config, longest=9).shape == (1, 7)
