"""A workspace with a running experiment, and HTTP servers that behave as a test tells them."""

import threading
from contextlib import contextmanager
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from abplatform.traffic.registry import Registry
from abplatform.workspace import Workspace

MONDAY = datetime(2026, 11, 2, tzinfo=UTC)
YAML = """key: lamps
layer: {name: feed, share: 60%}
targeting: {country: [DE], attributes: {age: {min: 18}, member: true}}
forced: {generated: [qa-1]}
variants:
  baseline: {control: true, weight: 50, creatives: {source: baseline}}
  generated: {weight: 50, creatives: {source: generated}}
metrics: {primary: ctr}
"""


@pytest.fixture
def workspace(tmp_path):
    found = Workspace(tmp_path, clock=lambda: MONDAY)
    (tmp_path / "abp.yaml").write_text("time_zone: UTC\n")
    found.experiments.mkdir()
    (found.experiments / "lamps.yaml").write_text(YAML)
    Registry(found).start("lamps", at=MONDAY, who="t")
    return found


@pytest.fixture
def serving():
    """Serve HTTP on loopback: ``answer(request handler)`` is called for every request."""

    @contextmanager
    def serve(answer):
        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def handle_one(self):
                size = int(self.headers.get("Content-Length", 0))
                self.sent = self.rfile.read(size)
                answer(self)

            do_GET = do_POST = handle_one  # noqa: N815 -- the standard library's names

            def say(self, status, body=b"", **headers):
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name.replace("_", "-"), value)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *words):
                """Say nothing."""

        class Server(ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, request, client_address):
                """A client that hangs up is what some tests are about."""

        server = Server(("127.0.0.1", 0), Handler)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            server.server_close()
            thread.join()

    return serve
