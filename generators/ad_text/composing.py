"""Texts composed from briefs by grammar: what the small embedded model learns to write.

They are plain on purpose: a product's name, what is true of every product of its kind, and the
facts of the brief. Titles, attributes, kinds and segments are dealt anew for each sample.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

import numpy as np

from generators.ad_text.brief import Brief

__all__ = ["CHINESE_KINDS", "ENGLISH_KINDS", "compose", "compose_many"]

ENGLISH_KINDS: Final[dict[str, tuple[tuple[str, ...], tuple[str, ...]]]] = {
    "lip": (("lipstick", "lip balm", "lip gloss"), ("Soft colour all day", "A smile in colour")),
    "skin": (("face cream", "serum", "hand cream"), ("Calm, soft skin", "A quiet moment for skin")),
    "perfume": (("perfume", "eau de toilette"), ("A scent to remember", "Fresh from morning on")),
    "shoes": (
        ("sneaker", "boots", "sandals", "running shoe"),
        ("Made to walk", "Step out lightly"),
    ),
    "fashion": (
        ("shirt", "hoodie", "dress", "jacket", "bag"),
        ("Wear it daily", "Simply good looks"),
    ),
    "coffee": (("coffee", "espresso", "cold brew"), ("Wake up slowly", "A cup of calm")),
    "tea": (("green tea", "black tea"), ("Time for tea", "A warm pause")),
    "juice": (("juice", "lemonade", "apple juice"), ("Fresh in every sip", "Fruit in a glass")),
    "milk": (("milk", "oat milk", "yogurt"), ("Start the day fresh", "Good with breakfast")),
    "bread": (("bread", "rolls", "cake"), ("Fresh from the oven", "Crisp and warm")),
    "fruit": (("apples", "oranges", "pears", "bananas"), ("Ripe and juicy", "Pick a fresh one")),
    "lamp": (("lamp", "desk lamp", "lantern"), ("Light where you read", "A warmer evening")),
    "home": (
        ("vase", "cushion", "mug", "pan", "kettle"),
        ("At home at once", "For rooms you love"),
    ),
    "speakers": (("speaker", "headphones", "radio"), ("Hear every note", "Music in the room")),
    "electronics": (
        ("phone", "watch", "camera", "tablet"),
        ("Ready when you are", "Simple to use"),
    ),
    "toys": (("bear", "blocks", "duck", "puzzle"), ("Ready to play", "Fun for small hands")),
    "books": (("book", "notebook", "atlas"), ("Turn the page", "A story to keep")),
}
"""Kind to nouns of products, and to what may be said of each of them."""

CHINESE_KINDS: Final[dict[str, tuple[tuple[str, ...], tuple[str, ...]]]] = {
    "饮品": (
        ("牛奶", "酸奶", "燕麦奶", "豆浆", "果汁", "橙汁", "咖啡", "绿茶", "红茶", "柠檬水"),
        ("新鲜好喝", "清晨来一杯", "一口清爽", "早餐好搭档", "香浓顺滑"),
    ),
    "食品": (
        ("面包", "蛋糕", "苹果", "橙子", "饼干", "蜂蜜", "巧克力", "坚果", "大米", "面条"),
        ("新鲜美味", "香气扑鼻", "家人都爱吃", "口口满足", "简单好味道"),
    ),
    "美妆": (
        ("口红", "面霜", "香水", "护手霜", "洗面奶", "精华液", "润唇膏"),
        ("自然显色", "温和呵护", "轻盈好气色", "每天都好看", "清新怡人"),
    ),
    "服饰": (
        ("运动鞋", "衬衫", "连衣裙", "外套", "背包", "帽子", "凉鞋", "卫衣"),
        ("轻便舒适", "百搭好看", "走到哪都自在", "日常好选择", "穿上就出门"),
    ),
    "家居": (
        ("台灯", "杯子", "花瓶", "抱枕", "水壶", "平底锅", "毛毯", "椅子"),
        ("让家更温馨", "简约实用", "点亮夜晚", "放在家里刚刚好", "好看又好用"),
    ),
    "数码": (
        ("音箱", "耳机", "手机", "手表", "相机", "键盘", "充电宝"),
        ("随时听见好声音", "简单易用", "出门带上它", "生活更方便", "一按就懂"),
    ),
    "玩具": (
        ("积木", "小熊", "拼图", "小鸭", "玩具车", "气球"),
        ("陪孩子一起玩", "玩出好心情", "小手也能玩", "快乐时光", "送给孩子的礼物"),
    ),
}

_COLOURS: Final = (
    "red",
    "blue",
    "green",
    "cherry",
    "sand",
    "black",
    "white",
    "sage",
    "coral",
    "navy",
)
_ADJECTIVES: Final = (
    "Velvet",
    "Trail",
    "Little",
    "Classic",
    "Cosy",
    "Bright",
    "Quiet",
    "Daily",
    "Alpine",
    "City",
)
_SEGMENTS: Final = ("students", "runners", "parents", "travellers", "early birds", "book lovers")
_CHINESE_SEGMENTS: Final = ("学生", "妈妈", "上班族", "跑步的人", "孩子", "旅行的人")
_GENERAL: Final = (
    "A good choice",
    "Worth a look",
    "Made for every day",
    "Simply good",
    "Yours to try",
)
"""What may be said of anything."""
_GENERAL_CHINESE: Final = ("值得拥有", "日常好选择", "简单实用", "喜欢就带走")
_ONSETS: Final = ("b", "br", "ch", "d", "f", "g", "gr", "h", "j", "k", "l", "m", "n", "p", "pl")
_MORE_ONSETS: Final = ("r", "s", "sh", "st", "t", "tr", "v", "w", "z", "", "")
_VOWELS: Final = ("a", "e", "i", "o", "u", "ea", "oo", "ai", "ee")
_CODAS: Final = ("", "", "", "n", "r", "l", "s", "t", "ck", "nd", "m", "x", "ng")
_MADE_UP: Final = 0.5
"""How often a name is made up: what it never saw, a model can only copy from the brief."""
_PLACES: Final = ("", "有机", "高山", "经典", "日常", "小小", "阳光", "海边")


def compose_many(rng: np.random.Generator) -> Iterator[tuple[str, str]]:
    """Yield prompts and texts without end.

    Args:
        rng: Deals everything.
    """
    while True:
        yield compose(rng)


def compose(rng: np.random.Generator) -> tuple[str, str]:
    """Return one prompt and a text of at most 50 characters."""
    make = _chinese if rng.random() < 0.45 else _english
    while True:
        prompt, text = make(rng)
        if len(text) <= 50:
            return prompt, text


def _english(rng: np.random.Generator) -> tuple[str, str]:
    kind = _one(rng, tuple(ENGLISH_KINDS))
    nouns, lines = ENGLISH_KINDS[kind]
    noun, line, colour = _one(rng, nouns), _one(rng, lines), _one(rng, _COLOURS)
    name = f"{_one(rng, _ADJECTIVES)} {noun}" if rng.random() < 0.7 else noun.capitalize()
    if rng.random() < _MADE_UP:
        name = _name(rng)
        if rng.random() < 0.5:
            kind, line = _word(rng), _one(rng, _GENERAL)
    title = f"{name}, {colour}" if rng.random() < 0.4 else name
    brief = _facts(rng, title, kind, {"colour": colour} if rng.random() < 0.5 else {})
    texts = [
        f"{name}. {line}.",
        f"{line}: {name}.",
        f"{name}: {line.lower()}.",
        f"Meet {name}. {line}.",
    ]
    if "colour" in brief.facts or colour in title:
        texts.append(f"{name} in {colour}. {line}.")
    if brief.price:
        texts += [f"{name}, {brief.price}. {line}."] * 2
    if brief.rating:
        texts += [f"{name}, rated {brief.rating}. {line}."] * 2
    if brief.segment:
        texts = [
            f"{brief.segment.capitalize()}: {name}. {line}.",
            f"{name} for {brief.segment}. {line}.",
        ]
    prompt = brief.prompt() if rng.random() < 0.8 else f"We have a {name}. The ad:"
    if not prompt.endswith("\nad:"):
        texts = texts[:4]
        return prompt, f" {_one(rng, texts)}"
    return prompt, f" {_one(rng, texts)}"


def _chinese(rng: np.random.Generator) -> tuple[str, str]:
    kind = _one(rng, tuple(CHINESE_KINDS))
    nouns, lines = CHINESE_KINDS[kind]
    noun, first, second = _one(rng, nouns), _one(rng, lines), _one(rng, lines)
    name = f"{_one(rng, _PLACES)}{noun}"
    if rng.random() < _MADE_UP:
        count = int(rng.integers(2, 6))
        name = "".join(chr(int(code)) for code in rng.integers(0x4E00, 0x9000, count))
        if rng.random() < 0.5:
            kind, first = name[-2:], _one(rng, _GENERAL_CHINESE)
    brief = _facts(rng, name, kind, {}, segments=_CHINESE_SEGMENTS)
    texts = [f"{name}，{first}。", f"{first}，就选{name}。", f"{name}：{first}。"]
    if first != second:
        texts.append(f"{name}，{first}，{second}。")
    if rng.random() < 0.5:
        forms = ("我们有一款{}，广告如下：", "我们有一种{}，广告：", "为{}写一句广告：")
        return _one(rng, forms).format(name), _one(rng, texts)
    if brief.price:
        texts += [f"{name}，{brief.price}，{first}。"] * 2
    if brief.segment:
        texts = [f"{brief.segment}的{name}，{first}。", f"给{brief.segment}：{name}，{first}。"]
    return brief.prompt(), f" {_one(rng, texts)}"


def _facts(
    rng: np.random.Generator,
    title: str,
    kind: str,
    facts: dict[str, str],
    *,
    segments: Sequence[str] = _SEGMENTS,
) -> Brief:
    price = f"{int(rng.integers(2, 400))} {_one(rng, ('USD', 'EUR', 'CNY'))}"
    rating = f"{rng.uniform(3.5, 5.0):.1f}"
    return Brief(
        title,
        kind,
        facts,
        price if rng.random() < 0.4 else None,
        rating if rng.random() < 0.25 else None,
        _one(rng, segments) if rng.random() < 0.2 else None,
    )


def _name(rng: np.random.Generator) -> str:
    """Make up a name of one to four words that nobody has heard."""
    words = [_word(rng) for _ in range(int(rng.integers(1, 5)))]
    if rng.random() < 0.15:
        words.append(str(int(rng.integers(2, 1000))))
    name = " ".join(words)
    return name.title() if rng.random() < 0.5 else name.capitalize()


def _word(rng: np.random.Generator) -> str:
    onsets = (*_ONSETS, *_MORE_ONSETS)
    return "".join(
        _one(rng, onsets) + _one(rng, _VOWELS) + _one(rng, _CODAS)
        for _ in range(int(rng.integers(1, 4)))
    )


def _one(rng: np.random.Generator, words: Sequence[str]) -> str:
    return words[int(rng.integers(len(words)))]
