"""Take the dashboard's picture for the README: ``python docs/take_pictures.py demo [EXPERIMENT]``.

Needs a workspace that ``abp demo`` has made, Chromium, and the extras ``dashboards`` and ``dev``.
"""

from __future__ import annotations

import io
import shutil
import socket
import subprocess
import sys
from pathlib import Path

from PIL import Image
from playwright.sync_api import Error, sync_playwright

PICTURE = Path(__file__).parent / "images" / "scorecard.png"
WIDTH, HEIGHT = 1280, 1608
COLOURS = 256


def main(workspace: str, experiment: str = "") -> None:
    """Serve the workspace, open the Scorecard page and write what is seen."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    abp = Path(sys.executable).with_name("abp")
    command = [abp, "dashboard", "-w", workspace, "--port", str(port), "--no-browser"]
    server = subprocess.Popen(command)  # noqa: S603  # our own command
    try:
        seen = _photograph(f"http://127.0.0.1:{port}/scorecard?experiment={experiment}")
    finally:
        server.terminate()
        server.wait()
    full = Image.open(io.BytesIO(seen)).convert("RGB")
    # A palette with dithering makes it a third of its size and is hard to tell from the original.
    palette = full.quantize(COLOURS, kmeans=2)
    small = full.quantize(palette=palette, dither=Image.Dither.FLOYDSTEINBERG)
    PICTURE.parent.mkdir(exist_ok=True)
    small.save(PICTURE, optimize=True)
    sys.stdout.write(f"{PICTURE}: {PICTURE.stat().st_size // 1024} KB\n")


def _photograph(address: str) -> bytes:
    with sync_playwright() as driver:
        chromium = driver.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox"]
        )
        page = chromium.new_page(viewport={"width": WIDTH, "height": HEIGHT})
        for _ in range(50):
            try:
                page.goto(address)
                break
            except Error:  # the server is not up yet
                page.wait_for_timeout(200)
        page.locator(".abp-footer").wait_for(timeout=60_000)
        page.wait_for_timeout(1500)
        return page.screenshot()


if __name__ == "__main__":
    main(*sys.argv[1:])
