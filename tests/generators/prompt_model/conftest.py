import numpy as np
import pytest

from abplatform.domain.catalog import Category, Product
from generators.intake import ReadyProduct

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")


@pytest.fixture(autouse=True)
def one_thread():
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def untrained():
    """A tiny Llava that has learned nothing: what it writes well, the grammar made it write."""
    from generators.prompt_model.llava import LlavaPromptModel
    from generators.prompt_model.model import build_model, build_processor, build_tokenizer

    tokenizer = build_tokenizer(["oak surface, arch backdrop, soft left light"] * 3, words=320)
    model = build_model(tokenizer, width=32, layers=1)
    return LlavaPromptModel("llava/1", {}, model.eval(), build_processor(tokenizer))


@pytest.fixture
def bottle():
    cutout = np.zeros((60, 30, 4), np.uint8)
    cutout[2:-2, 2:-2] = (40, 90, 200, 255)
    product = Product("bottle", "Trail bottle, blue", Category("drinks/bottles"), "bottle.png")
    return ReadyProduct(product, cutout, "0" * 64)
