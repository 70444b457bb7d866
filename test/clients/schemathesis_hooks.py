"""What schemathesis.toml cannot say: that our paths have two servers, and which refusals no schema can foresee."""

import json
import re
import zlib
from datetime import datetime, timedelta, timezone
from urllib.parse import unquote

import schemathesis
from schemathesis.openapi.checks import UnsupportedMethodResponse

SERVICE = "/api/projects/{project}"

# A well-formed request may be refused for these rules alone, because what they look at is not in the request's form.
STATE = "it depends on what the world holds, or on where its clock stands"
LANGUAGE = "its values are a language, a list or a comparison that JSON Schema cannot hold"
SWITCH = "a switch decides"
UNFORESEEN = {
    "routine/schedule-needs-time-zone": SWITCH,
    "routine/agent-exists": STATE,
    "routine/timer-is-future": STATE,
    "list/after-known": STATE,
    "dispatch/payload-type-matches": STATE,
    "control/fire-payload-for-events": STATE,
    "clock/never-goes-back": STATE,
    "clock/ends": STATE,
    "agent/unreachable-answers-424": STATE,
    "routine/cron-has-five-fields": LANGUAGE,
    "routine/cron-at-least-five-minutes": LANGUAGE,
    "cron/fires-at-all": LANGUAGE,
    "routine/time-zone-known": LANGUAGE,
    "routine/timer-forms": LANGUAGE,
    "routine/timer-duration-positive": LANGUAGE,
    "routine/local-timer-needs-time-zone": LANGUAGE,
    "run/filter": LANGUAGE,
    "reply/url-is-http": LANGUAGE,
    "action/conversation-conflict": LANGUAGE,
    "control/switch-known": LANGUAGE,
    "control/setting-known": LANGUAGE,
    "control/ledger-filter-known": LANGUAGE,
}


@schemathesis.hook
def before_load_schema(context, raw_schema):
    """Schemathesis reads one server for all paths, so each path takes its own in."""
    paths = {}
    for path, item in raw_schema["paths"].items():
        if item.pop("servers", None) is None:
            project = {"$ref": "#/components/parameters/Project"}
            item["parameters"] = [*item.get("parameters", []), project]
            path = SERVICE + path
        paths[path] = item
        for operation in item.values():
            for response in operation["responses"].values() if isinstance(operation, dict) else []:
                for link in response.get("links", {}).values():
                    link["parameters"]["project"] = "$request.path.project"
    raw_schema["paths"] = paths
    raw_schema["servers"] = [{"url": "/"}]
    # Four names of one variant, of which Schemathesis keeps the last; each variant has its own enum of them.
    del raw_schema["components"]["schemas"]["FaultOfKind"]["discriminator"]


# These have a world of their own: a fault, a reply or a switch would break every other promise, and a world that is emptied
# all the time has nothing to show.
APART = {"setFaults", "setAgentReply", "createProject", "updateProject", "resetProject", "deleteProject"}
# What is deleted has a name of its own for the same reason, but where a link names it.
DELETES = {"deleteRoutine", "deleteAgent"}

# By the form that a value must have to be given one of these, which mean something.
PROJECTS = (r"(?s).{1,128}", ["local", "local", "the%20east%2F%C3%A4"])
AGENTS = (r"[a-zA-Z0-9]([a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?", ["demo-agent", "demo-prompt"])
ROUTINES = (r"(?s).{1,128}", ["daily-summary", "b%3Ac%2Fd"])
SELECTORS = (r"(?s).{0,256}", ["demo-agent", "demo-prompt"])
CRONS = (r"\s*([0-9*/,-]+\s+){3}[0-9A-Za-z*/,-]+\s+[0-9A-Za-z*/,-]+\s*", ["0 7 * * 1-5", "*/15 * * * *", "0 0 29 2 *"])
ZONES = (r"(?s).*", ["UTC", "Europe/Berlin", "Pacific Standard Time"])
INSTANTS = (r"(?s).*", ["30m", "PT2H", "9999-12-31T23:59:59Z", 253402300799])
# A poll of the journal waits as long as it says, in the host's time.
WAITS = (r"[0-9a-zA-Z.]*", ["0s", "5ms", "PT0S", "0", ""])

# Setting the clock runs whatever is due on the way, however long that takes: only an advance has a bound.
TODAY = datetime.now(timezone.utc)
NEAR = (r"\+?\d{4,6}-\d\d-\d\dT.*", [(TODAY + timedelta(hours=hours)).isoformat() for hours in (-24, 1, 24, 240)])

KNOWN = {value for _, values in [PROJECTS, AGENTS, ROUTINES] for value in values}


@schemathesis.hook
def map_case(context, case):
    """Values that are right in form get a meaning as well, most of them; those that are wrong stay as they are."""
    operation = case.operation.definition.raw["operationId"]
    give(case.path_parameters, "project", PROJECTS, always=True)
    if operation in APART and case.path_parameters.get("project") in PROJECTS[1]:
        case.path_parameters["project"] = "apart"
    give(case.path_parameters, "agent_name", (AGENTS[0], ["gone"]) if operation in DELETES else AGENTS)
    give(case.path_parameters, "routine_name", (ROUTINES[0], ["gone"]) if operation in DELETES else ROUTINES)
    give(case.query, "wait", WAITS, always=True)
    if operation == "setClock":
        give(case.body, "now", NEAR, always=True)
    if operation == "createOrUpdateRoutine" and isinstance(case.body, dict):
        give(case.body.get("action"), "agent_name", SELECTORS)
        triggers = case.body.get("triggers")
        for trigger in triggers.values() if isinstance(triggers, dict) else []:
            give(trigger, "cron_expression", CRONS)
            give(trigger, "time_zone", ZONES)
            give(trigger, "at", INSTANTS)
    return case


def give(values, name, meaning, always=False):
    form, known = meaning
    written = values.get(name) if isinstance(values, dict) else None
    # What stands in a path is encoded already; what a link brought stays.
    if isinstance(written, str) and written not in KNOWN and re.fullmatch(form, unquote(written)):
        # The same run again must give the same values.
        chance = zlib.crc32(written.encode("utf-8", "surrogatepass"))
        if always or chance % 4:
            values[name] = known[chance // 4 % len(known)]


@schemathesis.check
def refused_for_a_rule_no_schema_says(ctx, response, case):
    if case.meta is None or not case.meta.generation.mode.is_positive or response.status_code not in (400, 424):
        return
    rule = response.headers.get("x-foundrite-rule", ["none"])[0]
    assert rule in UNFORESEEN, f"refused for {rule}, which openapi.yaml could say: {response.text}"


@schemathesis.check
def a_501_says_not_emulated(ctx, response, case):
    if response.status_code == 501:
        assert code_of(response) == "NotEmulated", response.text


@schemathesis.hook
def filter_failure(context, failure, case, response):
    """The service answers 404 where it has no such method (AZD-8241), or has one that is not emulated."""
    if not isinstance(failure, UnsupportedMethodResponse) or not case.path.startswith(SERVICE):
        return True
    return (response.status_code, code_of(response)) not in [(404, "unknown_route"), (501, "NotEmulated")]


def code_of(response):
    return json.loads(response.text)["error"]["code"]
