"""An https server on the loopback that keeps what is posted to it, with a certificate made for it."""

import contextlib
import http.server
import json
import ssl
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

TOKEN = "T0KEN-that-nobody-may-see"


class Webhook(http.server.ThreadingHTTPServer):
    """`answer` is its status, `delay` what it waits before, `location` where a redirect leads."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.posted: list[dict] = []
        self.answer, self.delay, self.location = 200, 0.0, ""
        self.released = threading.Event()
        self.url = f"https://127.0.0.1:{self.server_port}/hook/{TOKEN}"

    def handle_error(self, request, client_address) -> None:
        """A client that has given up is no failure."""


class _Handler(http.server.BaseHTTPRequestHandler):
    server: Webhook

    def do_POST(self) -> None:
        self.server.posted.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
        self.server.released.wait(self.server.delay)
        self.send_response(self.server.answer)
        if self.server.location:
            self.send_header("Location", self.server.location)
        self.end_headers()

    do_GET = do_POST

    def log_message(self, *_) -> None:
        pass


@contextlib.contextmanager
def webhook(directory: Path) -> Iterator[tuple[Webhook, Path]]:
    """A server, and the certificate that its clients have to trust (SSL_CERT_FILE)."""
    certificate, key = directory / "certificate.pem", directory / "key.pem"
    make = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=webhook"]
    files = ["-keyout", str(key), "-out", str(certificate)]
    subprocess.run([*make, "-addext", "subjectAltName=IP:127.0.0.1", *files], check=True, capture_output=True)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    server = Webhook()
    server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server, certificate
    server.released.set()
    server.shutdown()
    thread.join()
    server.server_close()
