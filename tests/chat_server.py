"""A server of the chat-completions protocol for tests, which answers as it is told."""

import base64
import contextlib
import http.server
import io
import json
import threading
from collections import Counter

from local_server import answering
from PIL import Image


def read(body):
    """Return the text and the image of a request."""
    found = {part["type"]: part for part in body["messages"][-1]["content"]}
    _, _, content = found["image_url"]["image_url"]["url"].partition("base64,")
    return found["text"]["text"], Image.open(io.BytesIO(base64.b64decode(content)))


class Served:
    """What a server does.

    Parameters
    ----------
    answer : callable
        From a text and an image to first tokens with their log-probabilities, any number.
    models : list of str
    key : str, optional
        Without it in a request, the answer is 401.
    """

    def __init__(self, answer, models=("tiny",), key=None):
        self.answer, self.models, self.key = answer, list(models), key
        self.list_of_models = None
        """What to answer in place of the list of models."""
        self.url = ""
        self.asked = Counter()
        self.bodies = []
        self.faults = []
        """What to answer next in place of what is right: (status, headers, body)."""
        self.at_once = self.most_at_once = 0
        self.lock = threading.Lock()

    def respond(self, path, body, headers):
        if self.key and headers.get("Authorization") != f"Bearer {self.key}":
            given = headers.get("Authorization")
            return 401, {}, {"error": {"message": f"no such key: {given}", "code": "wrong_key"}}
        if path == "/v1/models":
            models = {"data": [{"id": name} for name in self.models]}
            return 200, {}, self.list_of_models or models
        if path != "/v1/chat/completions":
            return 404, {}, {"detail": "nothing is here"}
        with self.lock:
            self.bodies.append(body)
            self.asked[json.dumps(body["messages"], sort_keys=True)] += 1
            if self.faults:
                return self.faults.pop(0)
        listed = sorted(self.answer(*read(body)), key=lambda one: -one[1])[: body["top_logprobs"]]
        tokens = [{"token": token, "logprob": value} for token, value in listed]
        content = {"content": [{**tokens[0], "top_logprobs": tokens}]}
        choice = {"message": {"role": "assistant", "content": tokens[0]["token"]}}
        return (
            200,
            {},
            {
                "choices": [choice | {"logprobs": content}],
                "usage": {"prompt_tokens": 100, "completion_tokens": 1},
            },
        )


@contextlib.contextmanager
def serving(served):
    """Let a server run for as long as the block lasts, and tell its address."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            self.respond(None)

        def do_POST(self):
            self.respond(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))

        def respond(self, body):
            with served.lock:
                served.at_once += 1
                served.most_at_once = max(served.most_at_once, served.at_once)
            try:
                status, headers, found = served.respond(self.path, body, self.headers)
            finally:
                with served.lock:
                    served.at_once -= 1
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(found if isinstance(found, bytes) else json.dumps(found).encode())

        def log_message(self, *_):
            pass

    with answering(Handler) as url:
        served.url = f"{url}/v1"
        yield served
