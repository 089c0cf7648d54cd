"""What the GCS emulator lacks: puts of the XML interface, done through its JSON interface.

A server before the emulator. `PUT /BUCKET/KEY` becomes an upload with the same condition; all
else is passed on as it is.
"""

import http.client
import threading
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import quote, unquote

KEPT = (
    "x-goog-hash",
    "content-type",
    "content-length",
    "etag",
    "x-goog-generation",
    "content-range",
    "last-modified",
)


@contextmanager
def xml_gcs(endpoint: str) -> Iterator[str]:
    """Start the server; yields its address."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_PUT(self) -> None:
            bucket, _, key = self.path.lstrip("/").partition("/")
            url = f"{endpoint}/upload/storage/v1/b/{bucket}/o?uploadType=media"
            url += f"&name={quote(unquote(key), safe='')}"
            condition = self.headers.get("x-goog-if-generation-match")
            if condition is not None:
                url += f"&ifGenerationMatch={condition}"
            body = self.rfile.read(int(self.headers["content-length"]))
            kind = {"content-type": self.headers.get("content-type", "application/octet-stream")}
            self.pass_on(urllib.request.Request(url, body, kind, method="POST"), put=True)

        def do_GET(self) -> None:
            asked = {"range": self.headers["range"]} if self.headers["range"] else {}
            self.pass_on(urllib.request.Request(endpoint + self.path, headers=asked))

        do_HEAD = do_GET  # noqa: N815

        def pass_on(self, request: urllib.request.Request, *, put: bool = False) -> None:
            try:
                answer: http.client.HTTPResponse | urllib.error.HTTPError
                answer = urllib.request.urlopen(request, timeout=10)
            except urllib.error.HTTPError as error:
                answer = error
            with answer:
                body = b"" if put else answer.read()
                self.send_response(answer.status or 500)
                for name in KEPT:
                    if name != "content-length" and name in answer.headers:
                        self.send_header(name, answer.headers[name])
                if put:
                    self.send_header("etag", '"x"')
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                if self.command != "HEAD":  # bytes after it would be read as the next answer
                    self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
