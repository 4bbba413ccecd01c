"""`abp serve`: what it refuses before it serves anything."""

import socket
import subprocess
import sys

ABP = [sys.executable, "-c", "from abplatform.cli.main import main; main()"]


def refused(shop, *options):
    """Run the verb, which must fail at once; what it says."""
    command = [*ABP, "serve", "-w", str(shop.root), *options]
    made = subprocess.run(command, check=False, capture_output=True, text=True, timeout=30)
    assert made.returncode == 1
    assert "Traceback" not in made.stderr
    return made.stderr


def test_a_port_that_is_taken_is_named(shop):
    """Somebody else's port is refused with another one to try."""
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        assert f"port {port} on 127.0.0.1" in refused(shop, "--port", str(port))


def test_without_tokens_only_this_machine_is_served(shop):
    """Another address than this machine's own needs tokens in abp.yaml."""
    told = refused(shop, "--host", "192.0.2.1", "--port", "0")
    assert "abp.yaml" in told
    assert "tokens" in told


def test_a_token_that_is_not_set_is_named(shop):
    """An environment variable that abp.yaml names must hold the token."""
    (shop.root / "abp.yaml").write_text("tokens: {ads: env:ABP_TEST_NOT_SET}\n")
    assert "ABP_TEST_NOT_SET" in refused(shop, "--port", "0")


def test_a_token_itself_never_stands_in_the_settings(shop):
    """A raw token in abp.yaml is refused with its place and what to write instead."""
    (shop.root / "abp.yaml").write_text("min_free: 1%\ntokens: {ads: sesame}\n")
    told = refused(shop, "--port", "0")
    assert "abp.yaml:2:" in told
    assert "sha256" in told


def test_a_hostile_host_header_stands_in_no_url(common):
    """What is no host's name is not repeated; URLs are then relative."""
    body = {"unit_id": "u", "experiment": "lamps", "context": {"product_ids": ["p1"]}}
    answer = common.json("/v1/decide", body, Host='evil"><script>')[1]
    assert answer["creative"]["url"].startswith("/v1/creatives/")
