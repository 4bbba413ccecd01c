"""Kinds of products, and what may be said of every product of a kind.

Lines are true of the whole kind and promise nothing: no claim, no number, no comparison. Each kind
has short ones, so that a long name leaves room for them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

__all__ = ["KINDS", "Kind", "general_lines"]


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of products.

    Args:
        language: ``en`` or ``zh``.
        names: What catalogues call it, and products of it.
        lines: What may be said, without a full stop.
    """

    language: str
    names: tuple[str, ...]
    lines: tuple[str, ...]


def _kind(names: str, *lines: str, language: str = "en") -> Kind:
    return Kind(language, tuple(names.split(", ")), lines)


_ENGLISH: Final = (
    _kind(
        "lip, lipstick, lip balm, lip gloss, lips",
        *("Soft colour", "A smile in colour", "Soft colour all day", "Colour for your smile"),
    ),
    _kind(
        "skin, skincare, cream, face cream, day cream, serum, hand cream, lotion, soap",
        *("Calm, soft skin", "Care for skin", "A quiet moment for skin", "Gentle every day"),
    ),
    _kind(
        "perfume, fragrance, eau de toilette, scent",
        *("A fresh scent", "A scent to remember", "Fresh from morning on", "Wear a mood"),
    ),
    _kind(
        "shoes, sneaker, sneakers, boots, sandals, running shoe, trainers, footwear",
        *("Made to walk", "Step out lightly", "Light on your feet", "Go further", "Easy steps"),
    ),
    _kind(
        "fashion, shirt, t-shirts, hoodie, dress, jacket, sweatshirts, polo shirts, clothing",
        *("Wear it daily", "Simply good looks", "Easy to wear", "Ready for today"),
    ),
    _kind(
        "bag, bags, backpack, handbag, tote",
        *("Carry it all", "Room for your day", "Packed and ready", "Goes where you go"),
    ),
    _kind(
        "hat, headwear, beanies, cap, scarf, gloves",
        *("Warm and light", "Tops off the day", "Good in the wind", "Cosy outdoors"),
    ),
    _kind(
        "glasses, sunglasses, eyewear",
        *("Ready for sun", "See the bright side", "Sunny days ahead", "Look up"),
    ),
    _kind(
        "coffee, espresso, cold brew, beans",
        *("Wake up slowly", "A cup of calm", "Good morning", "Pour, sip, smile"),
    ),
    _kind(
        "tea, green tea, black tea, infusions",
        *("Time for tea", "A warm pause", "Sit down with a cup", "A quiet cup"),
    ),
    _kind(
        "juice, juices, lemonade, apple juice, smoothie, soft drinks",
        *("Fresh in every sip", "Fruit in a glass", "Cool and fruity", "Pour some sun"),
    ),
    _kind(
        "milk, oat milk, soy milk, oatghurt, yogurt, yoghurt, sour cream, dairy",
        *("Start the day fresh", "Good with breakfast", "Smooth and fresh", "Pour and enjoy"),
    ),
    _kind(
        "bread, rolls, cake, cookies, bakery",
        *("Crisp and warm", "Fresh from the oven", "Share a slice", "Time for a bite"),
    ),
    _kind(
        "fruit, apple, apples, orange, oranges, pear, banana, melon, peach, plum, lemon, kiwi",
        *("Ripe and juicy", "Pick a fresh one", "A juicy bite", "Sweet by nature"),
    ),
    _kind(
        "vegetables, potato, tomato, pepper, carrot, cabbage, onion, mushroom",
        *("Fresh to the table", "Cook something good", "Crisp and fresh", "For your kitchen"),
    ),
    _kind(
        "lamp, lighting, desk lamp, lantern, lights",
        *("A warmer evening", "Light where you read", "Soft light", "Glow at home"),
    ),
    _kind(
        "home, homewares, vase, cushion, candle, blanket, decor, furniture, chair",
        *("At home at once", "For rooms you love", "Feels like home", "Cosy corners"),
    ),
    _kind(
        "kitchen, mug, mugs, cup, pan, kettle, pot, bowl, tableware",
        *("For your table", "Good mornings", "Set the table", "Made for every day"),
    ),
    _kind(
        "speakers, speaker, headphones, earbuds, radio, audio",
        *("Hear every note", "Music in the room", "Press play", "Sound all around"),
    ),
    _kind(
        "electronics, phone, phones, watch, watches, camera, tablet, computer, charger",
        *("Simple to use", "Ready when you are", "Switch on", "At your side"),
    ),
    _kind(
        "toys, toy, bear, blocks, duck, puzzle, games",
        *("Ready to play", "Fun for small hands", "Let us play", "Play all day"),
    ),
    _kind(
        "books, book, notebook, atlas, audiobooks, stationery",
        *("Turn the page", "A story to keep", "Get lost in it", "Time for a story"),
    ),
    _kind(
        "sport, fitness, yoga, cycling, outdoor, camping",
        *("Get moving", "Out and about", "For active days", "Ready, steady, go"),
    ),
    _kind(
        "gifts, gift cards, gift",
        *("Give a smile", "For someone dear", "A gift in hand", "Say it with this"),
    ),
)

_CHINESE: Final = tuple(
    _kind(names, *lines, language="zh")
    for names, *lines in (
        (
            "饮品, 牛奶, 酸奶, 燕麦奶, 豆浆, 果汁, 橙汁, 咖啡, 绿茶, 红茶, 柠檬水, 饮料",
            *("新鲜好喝", "清晨来一杯", "一口清爽", "早餐好搭档", "香浓顺滑"),
        ),
        (
            "食品, 面包, 蛋糕, 苹果, 橙子, 饼干, 蜂蜜, 巧克力, 坚果, 大米, 面条, 水果, 零食",
            *("新鲜美味", "香气扑鼻", "家人都爱吃", "口口满足", "简单好味道"),
        ),
        (
            "美妆, 口红, 面霜, 香水, 护手霜, 洗面奶, 精华液, 润唇膏, 护肤",
            *("自然显色", "温和呵护", "轻盈好气色", "每天都好看", "清新怡人"),
        ),
        (
            "服饰, 运动鞋, 衬衫, 连衣裙, 外套, 背包, 帽子, 凉鞋, 卫衣, 鞋, 女装, 男装",
            *("轻便舒适", "百搭好看", "走到哪都自在", "日常好选择", "穿上就出门"),
        ),
        (
            "家居, 台灯, 杯子, 花瓶, 抱枕, 水壶, 平底锅, 毛毯, 椅子, 家具, 厨房",
            *("让家更温馨", "简约实用", "点亮每一天", "放在家里刚刚好", "好看又好用"),
        ),
        (
            "数码, 音箱, 耳机, 手机, 手表, 相机, 键盘, 充电宝, 电器",
            *("随时陪伴你", "简单易用", "出门带上它", "生活更方便", "一按就懂"),
        ),
        (
            "玩具, 积木, 小熊, 拼图, 小鸭, 玩具车, 气球",
            *("陪孩子一起玩", "玩出好心情", "小手也能玩", "快乐时光", "送给孩子的礼物"),
        ),
    )
)

KINDS: Final[tuple[Kind, ...]] = (*_ENGLISH, *_CHINESE)
"""All kinds of both languages."""

_GENERAL: Final = {
    "en": ("Worth a look", "Made for every day", "Simply good", "Yours to try", "Take a look"),
    "zh": ("值得拥有", "日常好选择", "简单实用", "喜欢就带走"),
}


def general_lines(language: str) -> tuple[str, ...]:
    """Return what may be said of anything, in ``en`` or ``zh``."""
    return _GENERAL[language]
