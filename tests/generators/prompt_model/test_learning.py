from dataclasses import replace

import numpy as np
import pytest
import torch

from abplatform.domain.catalog import Category, Product
from generators.families import FAMILIES
from generators.prompt_model.colours import COLOURS, name_colour
from generators.prompt_model.embedding import HELD_OUT, LEARNED, read_drawn
from generators.prompt_model.evaluate import suits
from generators.prompt_model.llava import open_prompt_model
from generators.prompt_model.model import build_model, build_tokenizer
from generators.prompt_model.pictures import SIDE, draw_scenes, show_product
from generators.prompt_model.pretrain import PretrainConfig, batch_of, corpus, pretrain
from generators.prompt_model.tasks import GROUPS, Samples
from generators.scene import Scene, scene_from_text

TASKS = [task for group in GROUPS.values() for task in group]


@pytest.fixture(scope="module")
def products():
    return read_drawn(4, seed=7)


@pytest.fixture(scope="module")
def shelf(products):
    return draw_scenes(products, 5, families=LEARNED, seed=7)


@pytest.fixture(scope="module")
def samples(products, shelf):
    return Samples(products, shelf, families=LEARNED)


@pytest.fixture(scope="module")
def tokenizer(samples):
    return build_tokenizer(corpus(samples, 60, seed=0), words=400)


@pytest.mark.parametrize("task", TASKS)
def test_samples_repeat_and_vary(task, samples):
    """The same seed draws the same sample; others ask in other words or show other things."""
    first, again, other = (samples.draw(task, np.random.default_rng(n)) for n in (1, 1, 2))
    assert (first.question, first.answer) == (again.question, again.answer)
    assert np.array_equal(first.picture, again.picture)
    assert first.picture.shape == (SIDE, SIDE, 3)
    assert (first.question, first.answer) != (other.question, other.answer)


def test_scenes_that_are_taught_are_scenes(samples):
    """Whatever is taught as a background is a scene of a family that was not held out."""
    for number in range(40):
        rng = np.random.default_rng(number)
        for task in ("describe background", "background from information", "propose"):
            scene = scene_from_text(samples.draw(task, rng).answer)
            places = [
                name
                for name, family in FAMILIES.items()
                if scene.surface in family.surface.split("|")
                and scene.backdrop in family.backdrop.split("|")
                and scene.palette in family.palette.split("|")
            ]
            assert set(places) - set(HELD_OUT)


def test_a_rewritten_scene_differs_in_one_part(samples):
    """The answer to a rewriting question differs from the scene in the question by what it asks."""
    for number in range(30):
        sample = samples.draw("rewrite", np.random.default_rng(number))
        answer = scene_from_text(sample.answer).to_words()
        kept = [part for part, word in answer.items() if f"{word} " in sample.question]
        changed = [part for part in answer if f"{answer[part]} as {part}" in sample.question]
        changed += [part for part in answer if f"{part} to {answer[part]}." in sample.question]
        assert len(changed) == 1
        assert len(set(kept) | set(changed)) == len(answer)


def test_titles_are_not_told_where_they_are_asked(samples):
    """A question for a title does not hold it, and the answer does."""
    for number in range(20):
        sample = samples.draw("title", np.random.default_rng(number))
        name = sample.answer.rsplit(",", 1)[0]
        assert "title:" not in sample.question
        assert name not in sample.question


def test_only_answers_are_learned(samples, tokenizer):
    """Labels are the answer and its end; pictures, questions and padding carry none."""
    drawn = [samples.draw(task, np.random.default_rng(0)) for task in TASKS]
    batch = batch_of(drawn, tokenizer)
    for row, sample in enumerate(drawn):
        said = batch["labels"][row][batch["labels"][row] != -100]
        assert tokenizer.decode(said) == f" {sample.answer}</s>"
    blind = batch_of(drawn, tokenizer, blind=True)
    assert torch.unique(blind["pixel_values"]).tolist() == [1.0]
    assert torch.equal(blind["input_ids"], batch["input_ids"])


def test_training_goes_on_where_it_broke_off(samples, tokenizer, tmp_path):
    """A run that is stopped and taken up again ends with the bytes of one that was not."""
    config = PretrainConfig(steps=6, batch=4, warm_up=2, save_every=3, half=False)

    class StoppedError(Exception):
        pass

    def stop(done, _):
        if done == 4:
            raise StoppedError

    def model():
        return build_model(tokenizer, width=32, layers=1, seed=1)

    whole, broken, resumed = model(), model(), model()
    losses = pretrain(whole, tokenizer, samples, config)
    with pytest.raises(StoppedError):
        pretrain(broken, tokenizer, samples, config, rest=tmp_path / "r.pt", advance=stop)
    assert pretrain(resumed, tokenizer, samples, config, rest=tmp_path / "r.pt") == losses
    for mine, other in zip(whole.parameters(), resumed.parameters(), strict=True):
        assert torch.equal(mine, other)


def test_training_lowers_the_loss(samples, tokenizer):
    """After forty small batches the model expects answers better than a uniform guess would."""
    model = build_model(tokenizer, width=32, layers=1, seed=1)
    config = PretrainConfig(steps=40, batch=4, warm_up=5, learning_rate=8e-3, half=False)
    pretrain(model, tokenizer, samples, config)
    drawn = [samples.draw(task, np.random.default_rng([99, n])) for n in range(2) for task in TASKS]
    with torch.no_grad():
        loss = float(model(**batch_of(drawn, tokenizer)).loss)
    assert loss < 0.7 * np.log(len(tokenizer))


def test_colours_name_themselves():
    """A product of one plain colour is called by that colour."""
    for name, rgb in COLOURS.items():
        assert name_colour(np.full((20, 20, 4), (*rgb, 255), np.uint8)) == name


def test_what_suits_is_what_the_category_likes():
    """A scene of a family that suits a product suits it; a beach does not suit a lamp."""
    lamp = Product("lamp", "Linen table lamp, rust", Category("home/lamps"), "lamp.png")
    assert suits(Scene("oak", "window", "soft left", "cream", "no", "shallow"), lamp)
    assert not suits(Scene("sand", "sea", "golden left", "sand"), lamp)
    assert not suits(replace(Scene(), surface="moss", backdrop="garden"), lamp)


def test_the_embedded_model_sees(products):
    """The model that comes with the wheel names a colour that it can only have seen."""
    model = open_prompt_model()
    right = 0
    for number, (name, rgb) in enumerate(
        (
            ("red", (200, 40, 45)),
            ("blue", (50, 100, 190)),
            ("green", (60, 140, 70)),
            ("pink", (236, 140, 170)),
        )
    ):
        cutout = products[number].cutout.copy()
        cutout[..., :3] = rgb
        right += model.answer(show_product(cutout), "What is shown?").split()[1] == name
    assert right >= 3
