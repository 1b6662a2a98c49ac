"""A server with OpenAI's interface for tests: run as a process, it notes each request and fails as it is told.

python -m tests.evaluation.chat_server FOLDER [--fail] [--die-after N] [--key KEY] [--finish REASON]
"""

import argparse
import json
import os
import threading
import time
from collections import Counter
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

FAILURES = ("503", "429", "drop", "torn", "filter")  # the first time that a prompt is asked


class Server(ThreadingHTTPServer):
    request_queue_size = 128  # with the usual five, the kernel resets connections of a client that opens sixteen


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        self.reply(200, {"data": [{"id": "tiny"}]})

    def do_POST(self):
        server = self.server
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        prompt = body["messages"][0]["content"] if "messages" in body else body["prompt"]
        with server.lock:
            server.num_requests += 1
            server.in_flight += 1
            number, before = server.num_requests, server.asked[prompt]
            server.asked[prompt] += 1
            note = {"path": self.path, "key": self.headers.get("Authorization"), "in_flight": server.in_flight, **body}
            print(json.dumps(note), file=server.log, flush=True)
        if server.options.die_after and number > server.options.die_after:
            os._exit(1)
        time.sleep(0.02)
        try:
            self.answer(prompt, FAILURES[number % len(FAILURES)] if server.options.fail and not before else None)
        finally:
            with server.lock:
                server.in_flight -= 1

    def answer(self, prompt, failure):
        options = self.server.options
        if options.key and self.headers.get("Authorization") != f"Bearer {options.key}":
            self.reply(401, {"error": f"wrong key {self.headers.get('Authorization')}"})
        elif failure in ("503", "429"):
            self.reply(int(failure), {"error": "busy"}, {"Retry-After": "0"})
        elif failure == "drop":
            self.close_connection = True
        else:
            text = f"So the answer is {len(prompt) % 2 == 0}"
            part = {"message": {"content": text, "reasoning_content": "Hm."}} if "chat" in self.path else {"text": text}
            reason = "content_filter" if failure == "filter" else options.finish
            content = {"choices": [{**part, "finish_reason": reason}], "usage": {"completion_tokens": 7}}
            self.reply(200, content, torn=failure == "torn")

    def reply(self, status, content, headers=(), torn=False):
        body = json.dumps(content).encode()
        self.send_response(status)
        for name, value in dict(headers).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body[: len(body) // 2] if torn else body)
        self.close_connection = self.close_connection or torn

    def log_message(self, *arguments):
        pass


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--fail", action="store_true")
    parser.add_argument("--die-after", type=int)
    parser.add_argument("--key")
    parser.add_argument("--finish", default="stop")
    server = Server(("127.0.0.1", 0), Handler)
    server.options = parser.parse_args()
    server.lock, server.asked, server.num_requests, server.in_flight = threading.Lock(), Counter(), 0, 0
    server.log = open(server.options.folder / "requests.jsonl", "a")  # noqa: SIM115
    ready = server.options.folder / "ready"
    ready.with_suffix(".new").write_text(str(server.server_port))
    ready.with_suffix(".new").rename(ready)
    server.serve_forever()


if __name__ == "__main__":
    main()
