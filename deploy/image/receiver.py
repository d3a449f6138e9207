"""`python -m deploy.image.receiver`: takes webhooks on loopback, for the demo. It is in the image so that it can run in the network of delivery's container.

Its port is the first line of standard output; behind it each request is a line of JSON: headers, and the body in base64. It ends with its standard input.
"""

import base64
import json
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

_lock = threading.Lock()


def _say(line: str) -> None:
    with _lock:
        print(line, flush=True)


class Handler(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        headers = {name.lower(): value for name, value in self.headers.items()}
        _say(json.dumps({"headers": headers, "body": base64.b64encode(body).decode()}))
        self.send_response(204)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Whoever started this says what matters."""


def main() -> None:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    _say(str(server.server_address[1]))
    sys.stdin.read()
    server.shutdown()


if __name__ == "__main__":
    main()
