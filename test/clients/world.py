"""A project of the emulator for the Python clients, what a test asks it beside its client, and how a script tells its tests."""

import datetime
import json
import os
import sys
import traceback
import urllib.request

from azure.ai.projects import AIProjectClient
from azure.core.exceptions import HttpResponseError
from azure.identity import DefaultAzureCredential

VERSION = sys.argv[1]
ENDPOINT = os.environ["AZURE_AI_PROJECT_ENDPOINT"]
SECURE = ENDPOINT[: ENDPOINT.index("/api/")]
ORIGIN = SECURE.replace("https:", "http:")
AGENT = "digest"
NOW = datetime.datetime(2026, 6, 1, tzinfo=datetime.timezone.utc)
# One for all: each asks for a token of its own.
CREDENTIAL = DefaultAzureCredential()


def after(seconds):
    return NOW + datetime.timedelta(seconds=seconds)


def send(method, url, body=None):
    claims = "eyJhdWQiOiJodHRwczovL2FpLmF6dXJlLmNvbSIsInN1YiI6InRlc3QifQ"
    headers = {"Authorization": f"Bearer e30.{claims}.", "Content-Type": "application/json"}
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, headers, method=method)
    with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request) as answer:
        text = answer.read()
    return json.loads(text) if text else None


class World:
    """A project of the emulator, its clock standing still at NOW, and a client of it."""

    # An emulator holds 256: what a test has made goes with it.
    made = []

    def __init__(self, name, settings=None, **options):
        self.name = f"py-{VERSION.replace('.', '-')}-{name}"
        self.endpoint = f"{SECURE}/api/projects/{self.name}"
        self.control(
            "PUT",
            "",
            {
                "now": NOW.isoformat().replace("+00:00", "Z"),
                "rate": 0,
                "skip": True,
                "seed": name,
                # The agent is there at once; what a test makes is provisioned as the test says.
                "settings": {"provisioning_time": "0s"},
                **options,
            },
        )
        World.made.append(self)
        self.version(AGENT)
        if settings is not None:
            self.control("PATCH", "", {"settings": settings})

    def version(self, agent, image="digest:1"):
        """A version of a hosted agent, made by no client."""
        definition = {"kind": "hosted", "image": image, "cpu": "1", "memory": "2Gi", "protocol_versions": []}
        path = f"/api/projects/{self.name}/agents/{agent}/versions?api-version=v1"
        return send("POST", ORIGIN + path, {"definition": definition})

    def conversation(self):
        """The id of a new one."""
        return send("POST", f"{ORIGIN}/api/projects/{self.name}/openai/v1/conversations", {})["id"]

    def client(self, credential=None, **options):
        return AIProjectClient(endpoint=self.endpoint, credential=credential or CREDENTIAL, **options)

    def control(self, method, path, body=None):
        return send(method, f"{ORIGIN}/_emulator/projects/{self.name}{path}", body)

    def advance(self, by):
        self.control("POST", "/clock:advance", {"by": by})

    def until_idle(self):
        self.control("POST", "/clock:advance", {"until": "idle"})

    def arm(self, *faults):
        self.control("PUT", "/faults", {"faults": list(faults)})

    def fired(self):
        return [entry["fired"] for entry in self.control("GET", "/faults")["faults"]]

    def sent(self):
        entries = self.control("GET", "/journal?kind=request")["entries"]
        return [entry for entry in entries if f"azsdk-python-ai-projects/{VERSION} " in entry.get("user_agent", "")]


def same(actual, expected):
    assert actual == expected, f"{actual!r} is not {expected!r}"


def fields(model, expected):
    for name, value in expected.items():
        actual = getattr(model, name)
        # A known value of an enumeration is a member, and a str as well.
        assert actual == value and isinstance(actual, type(value)), f"{name} is {actual!r}, not {value!r}"


def raised(kind, work, **expected):
    try:
        work()
    except HttpResponseError as error:
        assert type(error) is kind, f"{type(error).__name__}, not {kind.__name__}: {error}"
        fields(error, expected)
        return error
    raise AssertionError(f"no {kind.__name__}")


def tell(tests):
    """Prints a line of JSON for each."""
    for test in tests:
        line = {"name": test.__name__.replace("_", " ")}
        try:
            test()
        except Exception:  # pylint: disable=broad-except
            line["error"] = traceback.format_exc()
        while World.made:
            World.made.pop().control("DELETE", "")
        print(json.dumps(line), flush=True)
