"""A server with OpenAI's interface for tests: run as a process, it notes each request and fails as it is told.

python -m tests.evaluation.chat_server FOLDER [--help]
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
        options = self.server.options
        self.reply(200, {"data": [{"id": "tiny", "max_model_len": None if options.silent else options.context}]})

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
            failure = FAILURES[number % len(FAILURES)] if server.options.fail and not before else None
            if (refusal := self.refusal(prompt, body)) is None:
                self.answer(prompt, failure, number)
            else:
                self.reply(400, {"error": {"message": refusal}})
        finally:
            with server.lock:
                server.in_flight -= 1

    def refusal(self, prompt, body):
        """What an error 400 says, if the request is one."""
        options = self.server.options
        budget = body.get("max_tokens", body.get("max_completion_tokens"))
        if named := [name for name in options.refuse if name in body]:
            instead = " Use 'max_completion_tokens' instead." if named[0] == "max_tokens" else ""
            return "no" if options.terse else f"'{named[0]}' is not supported with this model.{instead}"
        if options.puzzle and options.puzzle in prompt:
            return "I do not like this one"
        if options.context and len(prompt) + budget > options.context:
            limit = "" if options.terse else f" of {options.context} tokens"
            return f"You asked for more than the maximum context length{limit}."
        return None

    def answer(self, prompt, failure, number):
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
            is_filtered = failure == "filter" or (options.filter and options.filter in prompt)
            reason = "content_filter" if is_filtered else options.finish
            usage = {"completion_tokens": 7, "prompt_tokens": len(prompt)}
            content = {"choices": [{**part, "finish_reason": reason}], "usage": usage}
            if options.shapes:
                odd_shape(content, part, number)
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


def odd_shape(content, part, number):
    """Replies as other servers give them, all of them right."""
    choice = content["choices"][0]
    shape = number % 7
    if shape == 0:
        choice["finish_reason"] = "eos_token"
    elif shape == 1:
        choice["finish_reason"] = None
    elif shape == 2:
        content["usage"] = None
    elif shape == 3:
        del content["usage"], choice["finish_reason"]
    elif shape == 4:
        part["message"]["content"] = "\ud83d Hm.\n" + part["message"]["content"]
    elif shape == 5:
        part["message"]["content"] = [{"type": "text", "text": part["message"]["content"]}]
        part["message"]["reasoning_content"] = None
    else:
        content["usage"]["completion_tokens"] = None


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--fail", action="store_true")
    parser.add_argument("--die-after", type=int)
    parser.add_argument("--key")
    parser.add_argument("--finish", default="stop")
    parser.add_argument("--context", type=int, help="characters of prompt and tokens of answer that fit")
    parser.add_argument("--silent", action="store_true", help="name the context nowhere before it is full")
    parser.add_argument("--terse", action="store_true", help="refuse without saying why")
    parser.add_argument("--refuse", type=lambda text: text.split(","), default=[], help="parameters")
    parser.add_argument("--filter", help="prompts with this text are never answered")
    parser.add_argument("--puzzle", help="prompts with this text are refused in words that nobody expects")
    parser.add_argument("--shapes", action="store_true")
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
