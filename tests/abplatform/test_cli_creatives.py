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
    assert abp("generate", "--generator", "baseline")[0] == 0
    rows = json.loads(abp("creatives", "list", "--json")[1])
    assert [row["state"] for row in rows] == ["pending", "pending"]
    first, second = (row["creative_id"] for row in rows)
    assert f"{first[:12]} is approved" in abp("creatives", "approve", first[:10])[1]
    abp("creatives", "reject", first[:10], second, "--reason", "off brand", "--by", "eve")
    rows = json.loads(abp("creatives", "list", "--state", "rejected", "--json")[1])
    assert [(row["reason"], row["reviewed_by"]) for row in rows] == [("off brand", "eve")] * 2
    assert "off brand" in abp("creatives", "list", "--product", rows[0]["product_id"])[1]


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
    sources = [ROOT / "abplatform/creatives/catalogue.py", ROOT / "generators/intake.py"]
    reasons = {
        word
        for source in sources
        for word in re.findall(r"Refused\(\s*\"(\w+)\"", source.read_text())
    }
    assert len(reasons) >= 9
    assert {reason for reason in reasons if f"`{reason}`" not in page} == set()
