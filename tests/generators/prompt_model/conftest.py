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


QWEN_TURNS = (
    "{% for m in messages %}<|im_start|>{{ m['role'] }}\n{% for c in m['content'] %}"
    "{% if c['type'] == 'image' %}<|vision_start|><|image_pad|><|vision_end|>"
    "{% else %}{{ c['text'] }}{% endif %}{% endfor %}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
QWEN_MARKS = (
    "<|im_start|>",
    "<|im_end|>",
    "<|vision_start|>",
    "<|vision_end|>",
    "<|image_pad|>",
    "<|video_pad|>",
)


@pytest.fixture(scope="session")
def qwen_folder(tmp_path_factory):
    """A tiny Qwen2-VL that has learned nothing, as its checkpoints lie on the hub."""
    from transformers import (
        PreTrainedTokenizerFast,
        Qwen2VLConfig,
        Qwen2VLForConditionalGeneration,
        Qwen2VLImageProcessorPil,
    )

    from generators.prompt_model.model import build_tokenizer

    folder = tmp_path_factory.mktemp("qwen")
    inner = build_tokenizer(["linen surface, sea backdrop, golden left light"] * 3, words=320)
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=inner.backend_tokenizer,
        additional_special_tokens=list(QWEN_MARKS),
        **dict.fromkeys(("eos_token", "pad_token"), "<|im_end|>"),
    )
    ids = tokenizer.get_vocab()
    text = {
        "vocab_size": len(tokenizer),
        "hidden_size": 32,
        "intermediate_size": 64,
        "num_hidden_layers": 1,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "max_position_embeddings": 2048,
        "rope_parameters": {
            "type": "mrope",
            "rope_type": "default",
            "mrope_section": [1, 1, 2],
            "rope_theta": 10000.0,
        },
        "bos_token_id": ids["<|im_start|>"],
        "eos_token_id": ids["<|im_end|>"],
        "pad_token_id": ids["<|im_end|>"],
    }
    torch.manual_seed(0)
    config = Qwen2VLConfig(
        text_config=text,
        vision_config={"depth": 1, "embed_dim": 32, "hidden_size": 32, "num_heads": 2},
        image_token_id=ids["<|image_pad|>"],
        video_token_id=ids["<|video_pad|>"],
        vision_start_token_id=ids["<|vision_start|>"],
        vision_end_token_id=ids["<|vision_end|>"],
    )
    Qwen2VLForConditionalGeneration(config).save_pretrained(folder)
    tokenizer.chat_template = QWEN_TURNS
    tokenizer.save_pretrained(folder)
    Qwen2VLImageProcessorPil(min_pixels=56 * 56, max_pixels=112 * 112).save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def qwen(qwen_folder):
    """That model, opened by its folder."""
    from generators.prompt_model.llava import open_prompt_model

    return open_prompt_model(str(qwen_folder))


@pytest.fixture
def bottle():
    cutout = np.zeros((60, 30, 4), np.uint8)
    cutout[2:-2, 2:-2] = (40, 90, 200, 255)
    product = Product("bottle", "Trail bottle, blue", Category("drinks/bottles"), "bottle.png")
    return ReadyProduct(product, cutout, "0" * 64)
