"""The Python samples of seed 003, run as they are printed, and what they print. Prints one JSON line per test.

python seed.py VERSION BLOCKS, the blocks being a JSON list of texts.
"""

import contextlib
import io
import json
import re
import sys
import time

from world import World, same, tell

AGENT = "my-agent"
with open(sys.argv[2], encoding="utf-8") as file:
    BLOCKS = json.load(file)
LISTS, GETS, GETS_VERSION, LISTS_VERSIONS, CREATES, POLLS, DELETES_VERSION, DELETES, PATCHES, IDENTIFIES = range(10)
same(len(BLOCKS), 10)


class Page:
    """What a reader of the page has: an agent with two versions, and the names of the blocks before."""

    def __init__(self, name, **options):
        self.world = World(f"seed-{name}", **options)
        self.names = {"PROJECT_ENDPOINT": self.world.endpoint}
        self.run(LISTS)

    def make_agent(self):
        for image in ("v0", "v1"):
            self.world.version(AGENT, image)

    def run(self, number):
        """What the block prints, line by line."""
        printed = io.StringIO()
        with contextlib.redirect_stdout(printed):
            exec(compile(BLOCKS[number], f"block {number}", "exec"), self.names)  # pylint: disable=exec-used
        return printed.getvalue().splitlines()

    def poll(self, *version):
        """What polling prints, and the error that ends it."""
        printed = io.StringIO()
        try:
            with contextlib.redirect_stdout(printed):
                self.names["wait_for_version_active"](self.names["project"], AGENT, *version)
        except RuntimeError as error:
            return printed.getvalue().splitlines(), str(error)
        return printed.getvalue().splitlines(), None


def each_sample_prints_what_the_page_says():
    page = Page("samples")
    page.make_agent()
    same(page.run(LISTS), [AGENT, "digest"])
    same(page.run(GETS), ["Name: my-agent", "Status: active"])
    same(page.run(GETS_VERSION), ["Version: 1", "Status: active"])
    same(page.run(LISTS_VERSIONS), ["Version: 2, Status: active", "Version: 1, Status: active"])
    same(page.run(CREATES), ["Created version: 3"])
    same(page.run(POLLS), [])
    same(page.run(DELETES_VERSION), [])
    same(page.run(LISTS_VERSIONS), ["Version: 3, Status: active", "Version: 2, Status: active"])
    same(page.run(DELETES), [])
    same(page.run(LISTS), ["digest"])
    page.make_agent()
    same(page.run(PATCHES), [])
    rules = page.names["project"].agents.get(AGENT).agent_endpoint.version_selector.version_selection_rules
    same([(rule.agent_version, rule.traffic_percentage) for rule in rules], [("1", 100)])
    line, = page.run(IDENTIFIES)
    assert re.fullmatch("Agent identity principal ID: [0-9a-f-]{36}", line), line


def advance(page, seconds):
    page.world.advance(f"{seconds}s")


def polling(name, sleep=advance, fault=None, **options):
    """What polling prints of a version that is being provisioned, its loop sleeping as this says."""
    page = Page(name, **options)
    if fault is not None:
        page.world.arm(fault)
    page.run(CREATES)
    page.run(POLLS)
    same(page.names["time"], time)
    page.names["time"] = type("Time", (), {"sleep": lambda seconds: sleep(page, seconds)})
    return page.poll("1")


def said(*statuses):
    return [f"Version status: {status} (attempt {index + 1})" for index, status in enumerate(statuses)]


def polling_sees_creating_and_then_active():
    polled = polling("active", skip=False, settings={"provisioning_time": "25s"})
    same(polled, (said("creating", "creating", "active"), None))


def polling_without_sleep_waits_for_what_is_new():
    polled = polling("skipped", lambda page, seconds: None, settings={"provisioning_time": "3m"})
    same(polled, (said("creating", "active"), None))


def polling_sees_creating_and_then_failed_with_its_error():
    error = {"code": "ImageError", "message": "The image cannot be pulled."}
    fault = {"at": "transition", "of": "version", "from": "creating", "to": "failed", "error": error}
    printed, raised = polling("failed", fault=fault, skip=False, settings={"provisioning_time": "15s"})
    same(printed, said("creating", "failed"))
    assert raised.startswith("Version provisioning failed: {") and repr(error) in raised, raised


def polling_times_out_by_itself():
    printed, raised = polling("timed-out", skip=False, settings={"provisioning_time": "15m"})
    same(printed, said(*["creating"] * 60))
    same(raised, "Timed out waiting for version to become active")


tell(
    [
        each_sample_prints_what_the_page_says,
        polling_sees_creating_and_then_active,
        polling_without_sleep_waits_for_what_is_new,
        polling_sees_creating_and_then_failed_with_its_error,
        polling_times_out_by_itself,
    ]
)
