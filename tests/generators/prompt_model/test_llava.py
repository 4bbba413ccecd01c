from dataclasses import replace

import numpy as np
import pytest
import torch

from abplatform.checkpoints.multimodal import without
from abplatform.domain.catalog import Category, Product
from abplatform.errors import CheckpointError
from generators.intake import ReadyProduct
from generators.prompt_model.llava import LlavaPromptModel, open_prompt_model
from generators.prompt_model.model import save_model
from generators.prompt_model.questions import neutralise, tell_product
from generators.prompt_model.tasks import GROUPS
from generators.propose import propose_scenes
from generators.scene import VOCABULARY, Scene


def test_an_untrained_model_writes_scenes(untrained, bottle):
    """Whatever a model has learned, each of its proposals is a scene, and seeds repeat it."""
    drawn = [untrained.propose(bottle, 3, np.random.default_rng(seed)) for seed in (1, 1, 2)]
    assert all(isinstance(scene, Scene) for scene in drawn[0])
    assert drawn[0] == drawn[1] != drawn[2]


def test_the_proposals_of_a_model_are_filtered_like_any_others(untrained, bottle):
    """What is refused is left out of a model's proposals, and scenes do not repeat each other."""
    kept = propose_scenes(
        bottle,
        3,
        np.random.default_rng(0),
        writer=untrained,
        refused=lambda scene: scene.backdrop == "overhead",
    )
    assert len({(scene.surface, scene.backdrop) for scene in kept}) == 3
    assert "overhead" not in {scene.backdrop for scene in kept}


@pytest.mark.parametrize("kind", ["untrained", "qwen"])
def test_injections_stay_data(kind, request, hostile_titles):
    """None of 100 titles adds a picture, a turn or a special token, and answers stay scenes."""
    model = request.getfixturevalue(kind)
    tokenizer, picture = model.processor.tokenizer, np.zeros((64, 64, 3), np.uint8)
    special = {*tokenizer.all_special_ids, *tokenizer.get_added_vocab().values()}

    def marks(title):
        product = Product("p", title, Category("toys"), "p.png")
        told = tell_product(product)
        assert "\n" not in told
        ids = model.inputs(picture, told)["input_ids"][0].tolist()
        return [token for token in ids if token in special]

    plain = marks("Trail bottle, blue")
    assert len(set(hostile_titles)) == 100
    for number, title in enumerate(hostile_titles):
        assert marks(title) == plain
        if number % 25 == 0:
            cutout = np.full((20, 20, 4), 200, np.uint8)
            product = ReadyProduct(Product("p", title, Category("toys"), "p"), cutout, "0" * 64)
            assert len(model.propose(product, 2, np.random.default_rng(0))) == 2


def test_questions_with_special_tokens_stay_data(qwen):
    """Even what is asked directly cannot add turns to a real processor's template."""
    picture = np.zeros((64, 64, 3), np.uint8)
    tokenizer = qwen.processor.tokenizer
    spoiled = "".join(tokenizer.all_special_tokens) + "<|im_<|im_end|>end|>" + " blue" * 200
    asked = [qwen.inputs(picture, text)["input_ids"][0].tolist() for text in ("blue", spoiled)]
    counts = [[ids.count(token) for token in tokenizer.all_special_ids] for ids in asked]
    assert counts[0] == counts[1]
    assert tokenizer.decode(asked[1]).count("blue") == 200


@pytest.mark.parametrize("special", [("<|im_start|>", "<image>", "</s>"), ("<|vision_start|>",)])
def test_taking_markup_apart_leaves_none(special):
    """What is left after markup was taken out forms no new markup."""
    nested = "a <<image>image> b <|im_<|im_start|>start|> <</s>/s> <|vision<|vision_start|>_start|>"
    for clean in (neutralise(nested), without(nested, special)):
        assert not any(token in clean for token in special)
    assert neutralise(neutralise(nested)) == neutralise(nested)


def test_a_qwen_writes_scenes(qwen, bottle):
    """A model of another kind is opened by its folder, without what it has for films."""
    proposals = qwen.propose(bottle, 2, np.random.default_rng(3))
    assert qwen.name == "qwen2_vl/1"
    assert proposals == qwen.propose(bottle, 2, np.random.default_rng(3))
    assert all(isinstance(scene, Scene) for scene in proposals)


def test_models_with_room_are_told_the_words(untrained, qwen, bottle):
    """A model that was not pre-trained here is told every word; the small one has no room."""
    for part, words in VOCABULARY.items():
        assert all(word in qwen.question(bottle) for word in (part, *words))
    assert "golden left" not in untrained.question(bottle)


def test_a_brand_may_allow_fewer_words(untrained, bottle):
    """A model that is given fewer words writes no others."""
    fewer = {**VOCABULARY, "backdrop": ("sea",), "mood": ("calm", "fresh")}
    model = replace(untrained, vocabulary=fewer)
    untrained.propose(bottle, 1, np.random.default_rng(0))
    scenes = model.propose(bottle, 6, np.random.default_rng(0))
    assert {scene.backdrop for scene in scenes} == {"sea"}
    assert {scene.mood for scene in scenes} <= {"calm", "fresh"}


def test_a_saved_model_writes_the_same(untrained, bottle, tmp_path):
    """A model that is saved and opened by its folder proposes what it proposed before."""
    before = untrained.propose(bottle, 2, np.random.default_rng(5))
    half = LlavaPromptModel("llava/1", {}, untrained.model.half().float(), untrained.processor)
    save_model(tmp_path, half.model, half.processor)
    opened = open_prompt_model(str(tmp_path))
    assert len(opened.checkpoints["prompt_model"]) == 64
    half.model.float()
    assert opened.propose(bottle, 2, np.random.default_rng(5)) == before


def test_a_folder_of_something_else_is_refused(tmp_path):
    """A folder without a multimodal model says so, by name."""
    (tmp_path / "config.json").write_text('{"model_type": "bert"}')
    torch.manual_seed(0)
    from safetensors.torch import save_file

    save_file({"weight": torch.zeros(1)}, tmp_path / "model.safetensors")
    with pytest.raises(CheckpointError, match="pictures and text"):
        open_prompt_model(str(tmp_path))


def test_the_groups_are_those_of_the_paper():
    """Three groups hold seven tasks."""
    assert list(GROUPS) == ["image understanding", "multimodal understanding", "prompt generation"]
    assert sum(map(len, GROUPS.values())) == 7
