"""A real ``abp dashboard`` in headless Chromium: every page opens, clean and readable."""

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from urllib.error import URLError
from urllib.request import urlopen

import pytest

ABP = Path(sys.executable).with_name("abp")
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        CHROMIUM is None, reason="chromium is not installed: `apt-get install chromium`"
    ),
]

SHIPPED = "beauty-generated-2026w47"
PAGES = {
    "home": ("", "1 experiment runs"),
    "scorecard": (f"scorecard?experiment={SHIPPED}", "Generated creatives win"),
    "creatives": ("creatives", "18 creatives"),
}


@pytest.fixture(scope="module")
def address(example):
    """Start the dashboard on a free port and end it as Ctrl+C does."""
    server, url = _start(example)
    yield url
    assert "Traceback" not in _interrupt(server)


def _start(workspace):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    server = subprocess.Popen(
        [ABP, "dashboard", "-w", str(workspace), "--port", str(port), "--no-browser"],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env=os.environ | {"HOME": str(workspace)},
    )
    url = f"http://127.0.0.1:{port}"
    _wait_until_ready(f"{url}/_stcore/health", server)
    return server, url


def _interrupt(server):
    server.send_signal(signal.SIGINT)
    try:
        return server.communicate(timeout=20)[0].decode()
    finally:
        server.kill()


def _wait_until_ready(url, server):
    for _ in range(300):
        assert server.poll() is None, server.communicate()[0].decode()
        try:
            with urlopen(url, timeout=2) as answer:  # noqa: S310  # our own server
                assert answer.status == 200
                return
        except OSError:
            time.sleep(0.1)
    pytest.fail("the dashboard did not start within 30 s")


@pytest.fixture(scope="module")
def browser():
    """Start Chromium once."""
    playwright = pytest.importorskip("playwright.sync_api")
    with playwright.sync_playwright() as driver:
        chromium = driver.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield chromium
        chromium.close()


@pytest.fixture
def watched(browser, address):
    """Return a function that opens a window and records everything that goes wrong in it."""
    contexts = []

    def open_window(*, width=1400, scheme="light"):
        context = browser.new_context(
            viewport={"width": width, "height": 900}, color_scheme=scheme, base_url=address
        )
        contexts.append(context)
        page = context.new_page()
        faults = []
        page.on("console", lambda message: faults.extend(_faults_of(message)))
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.on("request", lambda request: faults.extend(_leaving(request.url, address)))
        return page, faults

    yield open_window
    for context in contexts:
        context.close()


def _leaving(url, address):
    if not url.startswith((address, "data:", "blob:", "ws://127.0.0.1")):
        yield f"leaves this machine: {url}"


def _faults_of(message):
    """Errors of the console; on a deep link Streamlit first looks for its server below the page."""
    probe = re.search(r"/(scorecard|creatives)/_stcore/", message.location.get("url", ""))
    if message.type == "error" and not probe:
        yield message.text


@pytest.mark.parametrize(("width", "scheme"), [(1400, "light"), (420, "dark")])
def test_every_page_opens_clean(watched, tmp_path, width, scheme):
    """Each page shows its content without errors, side-scrolling or a request to elsewhere."""
    page, faults = watched(width=width, scheme=scheme)
    for name, (path, words) in PAGES.items():
        page.goto(f"/{path}")
        page.get_by_text(words).first.wait_for(timeout=30_000)
        page.locator(".abp-footer").wait_for(timeout=20_000)
        assert page.locator('[data-testid="stException"]').count() == 0
        assert "abplatform" in page.title()
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        shot = tmp_path / f"{name}-{width}-{scheme}.png"
        page.screenshot(path=shot)
        assert shot.stat().st_size > 10_000
        assert faults == []


def test_a_card_leads_to_its_scorecard_and_on_to_the_creatives(watched):
    """From Home a click opens the experiment's scorecard; the top line leads to the creatives."""
    page, faults = watched()
    page.goto("/")
    page.get_by_text("Generated creatives win").click()
    page.locator(".abp-verdict.abp-ship").wait_for(timeout=20_000)
    assert f"experiment={SHIPPED}" in page.url
    page.wait_for_function(
        "() => { const pictures = [...document.querySelectorAll('.abp-picture img')];"
        " return pictures.length >= 8 && pictures.every(one => one.naturalWidth > 0) }",
        timeout=20_000,
    )
    page.get_by_role("link", name="Creatives").click()
    page.locator(".abp-gallery").wait_for(timeout=20_000)
    page.locator("summary").first.click()
    page.get_by_text("soft morning light").first.wait_for(state="visible", timeout=5_000)
    assert faults == []


def test_an_interrupt_leaves_nothing_behind(example):
    """The command is the server itself: one interrupt, and nothing answers any more."""
    server, url = _start(example)
    _interrupt(server)
    with pytest.raises(URLError):
        urlopen(url, timeout=2)  # noqa: S310  # our own server
