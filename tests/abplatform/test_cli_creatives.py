import json
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from abplatform.cli.main import main
from abplatform.creatives import read_lineage
from generators.drawn import draw_catalogue

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "your-products.md"


@pytest.fixture
def abp(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("USER", "ada")
    monkeypatch.delenv("ABP_WORKSPACE", raising=False)

    def call(*words):
        monkeypatch.setattr(sys, "argv", ["abp", *map(str, words)])
        with pytest.raises(SystemExit) as ended:
            main()
        printed = capsys.readouterr()
        return ended.value.code or 0, printed.out, printed.err

    return call


@pytest.fixture
def products(tmp_path):
    return draw_catalogue(tmp_path / "catalog", products=2)


def test_generate_needs_no_workspace(abp, products, tmp_path):
    """With products and a folder, pictures, lineage and contact sheet are written there."""
    code, out, err = abp("generate", "--products", products, "--out", "ads", "--per-product", 1)
    assert (code, err) == (0, "")
    assert "4 creatives for 2 products: 2 baseline, 2 generated (4 drawn now" in out
    assert "cut out        2 by alpha" in out
    assert (tmp_path / "ads/creatives.png").is_file()
    assert (tmp_path / "ads/creatives.html").is_file()
    assert len(read_lineage(tmp_path / "ads")) == 4


def test_generate_as_json_names_the_refused(abp, products):
    """The JSON object lists creatives and refused rows with file and line; a rerun draws none."""
    table = products / "products.csv"
    table.write_text(table.read_text() + "x,x.png,X,,,,,,,\n")
    words = (
        "generate",
        "--products",
        products,
        "--out",
        "ads",
        "--generator",
        "baseline",
        "--json",
    )
    first, second = (json.loads(abp(*words)[1]) for _ in range(2))
    assert (first["products"], first["drawn"], first["reused"]) == (2, 2, 0)
    assert set(first["masks"].values()) == {"alpha"}
    assert [(row["reason"], row["line"]) for row in first["refused_products"]] == [
        ("no_category", 4)
    ]
    assert (second["drawn"], second["reused"]) == (0, 2)
    assert second["creatives"] == first["creatives"]


def test_nothing_usable_is_a_failure(abp, tmp_path):
    """When every product is refused, the first reason is the error and the exit code is 1."""
    (tmp_path / "products.csv").write_text("product_id,image,title,category\na,a.png,A,x\n")
    code, _, err = abp("generate", "--products", tmp_path, "--out", "ads")
    assert code == 1
    assert "products.csv:2: no product can be used: the image 'a.png' cannot be opened" in err


def test_without_workspace_or_folder_it_says_what_to_name(abp, products):
    """Outside a workspace the remedy names both options."""
    code, _, err = abp("generate", "--products", products)
    assert code == 1
    assert "`--products` and `--out`" in err


def test_creatives_are_reviewed(abp, products, tmp_path):
    """In a workspace, creatives are listed, approved and rejected; the newest review counts."""
    (tmp_path / "abp.yaml").write_text("{}\n")
    assert "There are no such creatives" in abp("creatives", "list")[1]
    assert abp("generate", "--per-product", 1)[0] == 0
    rows = json.loads(abp("creatives", "list", "--json")[1])
    assert [row["state"] for row in rows] == ["approved", "approved", "pending", "pending"]
    rows = rows[2:]
    first, second = (row["creative_id"] for row in rows)
    assert f"{first[:12]} is approved" in abp("creatives", "approve", first[:10])[1]
    abp("creatives", "reject", first[:10], second, "--reason", "off brand", "--by", "eve")
    rows = json.loads(abp("creatives", "list", "--state", "rejected", "--json")[1])
    assert [(row["reason"], row["reviewed_by"]) for row in rows] == [("off-brand", "eve")] * 2
    assert "off-brand" in abp("creatives", "list", "--product", rows[0]["product_id"])[1]


def test_reviews_hold_where_they_say(abp, products, tmp_path):
    """A set that is approved for a channel is approved in its list alone; bad words are named."""
    (tmp_path / "abp.yaml").write_text("{}\n")
    abp("generate", "--per-product", 1)
    pending = ("creatives", "list", "--state", "pending", "--json")
    first = json.loads(abp(*pending)[1])[0]["creative_id"]
    said = ("--channel", "feed", "--country", "CN", "--until", "2999-01-01", "--note", "sale")
    told = json.loads(abp("creatives", "approve", first, *said, "--json")[1])
    assert (told[0]["channels"], told[0]["note"]) == (["feed"], "sale")
    here = ("creatives", "list", "--state", "approved", "--json", "--channel", "feed")
    listed = json.loads(abp(*here, "--country", "CN")[1])
    assert first in {row["creative_id"] for row in listed}
    for elsewhere in (here, here[:5]):
        assert first not in {row["creative_id"] for row in json.loads(abp(*elsewhere)[1])}
    code, _, err = abp("creatives", "reject", first, "--reason", "too dark")
    assert (code, "off-brand, product-wrong, claim" in err) == (2, True)
    code, _, err = abp("creatives", "approve", first, "--until", "2020-01-01")
    assert (code, "passed" in err) == (2, True)


def test_creatives_are_withdrawn(abp, products, tmp_path):
    """By id, product, scene family or phrases: listed with the reason, and never drawn again."""
    (tmp_path / "abp.yaml").write_text("{}\n")
    abp("generate", "--per-product", 1)
    rows = json.loads(abp("creatives", "list", "--json")[1])
    plain, drawn = (row for row in rows if row["product_id"] == rows[0]["product_id"])
    code, out, _ = abp("creatives", "withdraw", drawn["creative_id"][:8], "--reason", "cracked")
    assert (code, f"{drawn['creative_id'][:12]} of" in out) == (0, True)
    words = ("creatives", "withdraw", drawn["creative_id"], "--reason", "cracked")
    assert "already withdrawn; nothing changed" in abp(*words)[1]
    listed = json.loads(abp("creatives", "list", "--state", "withdrawn", "--json")[1])
    assert [(row["creative_id"], row["reason"]) for row in listed] == [
        (drawn["creative_id"], "cracked")
    ]
    product = ("--product", plain["product_id"], "--reason", "recalled", "--by", "eve", "--json")
    answer = json.loads(abp("creatives", "withdraw", *product)[1])
    assert {row["creative_id"] for row in answer["creatives"]} == {
        plain["creative_id"],
        drawn["creative_id"],
    }
    assert (answer["already"], answer["phases"]) == (False, [])
    made = json.loads(abp("generate", "--per-product", 1, "--seed", 5, "--json")[1])
    assert {row["product_id"] for row in made["creatives"]} == {rows[-1]["product_id"]}
    assert {tuple(slot["reasons"]) for slot in made["refused_creatives"]} == {("withdrawn",)}
    for scene in ("silk", "neon light, water surface"):
        code, out, _ = abp("creatives", "withdraw", "--scene", scene, "--reason", "off brand")
        assert code == 0


def test_a_withdrawn_creative_is_not_approved(abp, products, tmp_path):
    """Naming one among others approves none of them."""
    (tmp_path / "abp.yaml").write_text("{}\n")
    abp("generate", "--per-product", 1)
    _, _, first, second = (
        row["creative_id"] for row in json.loads(abp("creatives", "list", "--json")[1])
    )
    abp("creatives", "withdraw", second, "--reason", "cracked")
    code, _, err = abp("creatives", "approve", first, second)
    assert code == 1
    assert f"{second[:12]} is withdrawn" in err
    states = {row["state"] for row in json.loads(abp("creatives", "list", "--json")[1])}
    assert states == {"approved", "pending", "withdrawn"}
    rows = json.loads(abp("creatives", "list", "--state", "approved", "--json")[1])
    assert {row["source"] for row in rows} == {"baseline"}


@pytest.mark.parametrize(
    ("words", "code", "told"),
    [
        ([], 2, "name creatives, or one of --product"),
        (["aaaaaaaa", "--product", "p"], 2, "name creatives, or one of --product"),
        (["abc"], 1, "too short to name a creative"),
        (["aaaaaaaa"], 1, "names no creatives"),
        (["--product", "no such thing"], 1, "there is no product 'no such thing'"),
        (["--scene", "silkk"], 1, "Did you mean the family 'silk'"),
        (["--scene", "nylon light"], 1, "no light that a renderer knows"),
        (["--checkpoint", "aaaaaaaa"], 1, "names no checkpoints"),
    ],
)
def test_an_unclear_withdrawal_is_refused(abp, tmp_path, words, code, told):
    """What names nothing, two things or nothing known changes nothing and says what to do."""
    (tmp_path / "abp.yaml").write_text("{}\n")
    draw_catalogue(tmp_path / "catalog", products=1)
    ended, _, err = abp("creatives", "withdraw", *words, "--reason", "cracked")
    assert (ended, told in err) == (code, True), err
    assert not (tmp_path / "data" / "journal").exists()
    assert abp("creatives", "withdraw", "aaaaaaaa")[0] == 2


@pytest.mark.parametrize("name", ["abc", "ffffffffff"])
def test_an_unclear_id_is_refused(abp, products, tmp_path, name):
    """An id that is too short or names nothing changes nothing."""
    (tmp_path / "abp.yaml").write_text("{}\n")
    code, _, err = abp("creatives", "approve", name)
    assert code == 1
    assert "abp creatives list" in err


def test_the_page_for_designers_works_as_written(abp, products, tmp_path, monkeypatch):
    """The five commands of docs/your-products.md bring creatives; its Python reads them back."""
    blocks = dict(re.findall(r"```(sh|python)\n(.*?)```", PAGE.read_text(), re.DOTALL))
    products.rename(tmp_path / "products")
    for line in blocks["sh"].splitlines():
        if line.startswith("cd "):
            monkeypatch.chdir(line[3:])
        elif line.startswith("abp generate"):
            assert abp(*shlex.split(line)[1:], "--per-product", 1)[0] == 0
        elif line.startswith("abp "):
            assert abp(*shlex.split(line)[1:])[0] == 0
        else:
            subprocess.run(line, shell=True, check=True)  # noqa: S602 - the page's own line
    ran = subprocess.run([sys.executable, "-c", blocks["python"]], capture_output=True, check=True)
    assert ran.stdout.count(b"(512, 512, 3)") == 4


def test_the_page_for_designers_names_every_refusal():
    """Each reason that a product can be refused for is explained."""
    page = PAGE.read_text()
    sources = [
        ROOT / "abplatform/creatives/catalogue.py",
        *(ROOT / "generators/intake").glob("*.py"),
    ]
    reasons = {
        word
        for source in sources
        for word in re.findall(r"Refused\(\s*\"(\w+)\"", source.read_text())
    }
    assert len(reasons) >= 9
    assert {reason for reason in reasons if f"`{reason}`" not in page} == set()
