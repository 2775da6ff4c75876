"""The official OpenAI SDK against the gateway example: what its users see.

    python tests/sdk/openai_sdk.py target/release/examples/gateway

Two gateways are started. One has the sandbox behind it. The other stands in front of the first, with
a client token and a limit of one request an hour that it does not wait for.
"""

import os
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import openai

MESSAGES = [{"role": "user", "content": "Hello"}]

SMALL = """
client_tokens = ["env:GATEWAY_TOKEN"]

[[pool]]
name = "openai"
provider = "openai"
base_url = "{url}"
models = ["gpt-*"]
max_wait = "0s"

[[pool.account]]
name = "small"
limits = ["1 requests/h"]
keys = ["sk-of-the-small-account"]
"""


@contextmanager
def gateway(program, *args, **env):
    """Starts a gateway on a free port, and gives its URL."""
    process = subprocess.Popen(
        [program, "--listen", "127.0.0.1:0", *args],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
        env={"PATH": os.environ.get("PATH", ""), **env},
    )
    try:
        for line in process.stdout:
            if line.startswith("listening on "):
                yield line.removeprefix("listening on ").strip()
                break
        else:
            raise SystemExit("the gateway did not start")
    finally:
        process.terminate()
        process.wait(timeout=60)


def client(url, token="anything"):
    return openai.OpenAI(base_url=f"{url}/v1", api_key=token, max_retries=0, timeout=60)


def chat(client, **more):
    return client.chat.completions.create(**{"model": "gpt-4o", "messages": MESSAGES, **more})


def refusal(error, call):
    """The error that a call ends with, which must be of the SDK's class for it."""
    try:
        call()
    except error as told:
        return told
    raise AssertionError(f"no {error.__name__}")


def a_completion(client):
    answer = chat(client)
    assert answer.choices[0].message.content, answer
    assert answer.usage.total_tokens > 0, answer


def a_stream(client):
    with chat(client, stream=True) as events:
        deltas = [event.choices[0].delta.content for event in events if event.choices]
    assert len([delta for delta in deltas if delta]) > 1, deltas


def a_response(client):
    assert client.responses.create(model="gpt-4o", input="Hello").output_text


def many_at_once_wait_instead_of_being_refused(client):
    with ThreadPoolExecutor(20) as pool:
        answers = list(pool.map(lambda _: chat(client), range(20)))
    assert all(answer.choices for answer in answers)


def an_unknown_model_is_not_found(client):
    told = refusal(openai.NotFoundError, lambda: chat(client, model="no-such-model"))
    assert told.code == "model_not_found", told


def a_request_too_many_is_told_when_to_come_back(client):
    chat(client)
    told = refusal(openai.RateLimitError, lambda: chat(client))
    assert 0 < int(told.response.headers["retry-after"]) <= 3600, told.response.headers


def a_wrong_token_is_refused(client):
    refusal(openai.AuthenticationError, lambda: chat(client))


def run(test, client):
    test(client)
    print(f"ok: {test.__name__.replace('_', ' ')}", flush=True)


def main(program):
    print(f"openai {openai.__version__}")
    with gateway(program) as url:
        for test in [
            a_completion,
            a_stream,
            a_response,
            many_at_once_wait_instead_of_being_refused,
            an_unknown_model_is_not_found,
        ]:
            run(test, client(url))
        with tempfile.TemporaryDirectory() as folder:
            config = os.path.join(folder, "keys.toml")
            with open(config, "w") as file:
                file.write(SMALL.format(url=url))
            with gateway(program, "--config", config, GATEWAY_TOKEN="t-client") as small:
                run(a_wrong_token_is_refused, client(small, "t-other"))
                run(a_request_too_many_is_told_when_to_come_back, client(small, "t-client"))


if __name__ == "__main__":
    main(sys.argv[1])
