"""What schemathesis.toml cannot say: that our paths have two servers, and which refusals no schema can foresee."""

import json
import os
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
UNITS = "the service counts the units of UTF-16, and a schema counts characters"
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
    "agent/creating-answers-400": STATE,
    "agent/failed-answers-400": STATE,
    "agent/card-form": STATE,
    "session/hosted-only": STATE,
    "session/not-ready-answers-424": STATE,
    "file/only-files-are-read": STATE,
    "file/only-folders-are-listed": STATE,
    "call/external-answers-400": STATE,
    "call/invocations-are-hosted": STATE,
    "response/cancel-needs-background": STATE,
    "routing/version-known": STATE,
    "routing/no-drafts": STATE,
    "version/at-most-1000": STATE,
    "control/session-is-one": STATE,
    "thread/list-cursor-known": STATE,
    "message/locked-by-a-run": STATE,
    "thread-run/one-active": STATE,
    "thread-run/cancel-needs-going": STATE,
    "thread-run/submit-needs-requires-action": STATE,
    "thread-run/outputs-of-all-calls": STATE,
    "thread/metadata-limits": UNITS,
    "control/step": LANGUAGE,
    "agent/container-or-code": LANGUAGE,
    "agent/spellings-agree": LANGUAGE,
    "agent/resource-tier": LANGUAGE,
    "agent/environment-name-form": LANGUAGE,
    "agent/environment-name-reserved": LANGUAGE,
    "agent/tools-max-128": LANGUAGE,
    "routing/not-empty": LANGUAGE,
    "routing/percentage-is-0-to-100": LANGUAGE,
    "routing/sum-is-100": LANGUAGE,
    "routing/version-once": LANGUAGE,
    "code/comes-with-its-definition": LANGUAGE,
    "code/is-a-zip": LANGUAGE,
    "code/digest-matches": LANGUAGE,
    "file/path-required": LANGUAGE,
    "file/path-stays-inside": LANGUAGE,
    "response/agent-is-deprecated": LANGUAGE,
    "response/agent-is-not-overridden": LANGUAGE,
    "response/model-or-agent": LANGUAGE,
    "fault/transition-known": LANGUAGE,
    "reply/model-key-one-way": LANGUAGE,
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
    tags = set()
    for path, item in raw_schema["paths"].items():
        if item.pop("servers", None) is None:
            project = {"$ref": "#/components/parameters/Project"}
            item["parameters"] = [*item.get("parameters", []), project]
            path = SERVICE + path
        paths[path] = item
        for operation in item.values():
            if isinstance(operation, dict):
                leave_shared_out(operation, tags)
            for response in operation["responses"].values() if isinstance(operation, dict) else []:
                for link in response.get("links", {}).values():
                    link["parameters"]["project"] = "$request.path.project"
                describe_events(response.get("content", {}))
    raw_schema["paths"] = paths
    raw_schema["servers"] = [{"url": "/"}]
    # Four names of one variant, of which Schemathesis keeps the last; each variant has its own enum of them.
    schemas = raw_schema["components"]["schemas"]
    del schemas["FaultOfKind"]["discriminator"]
    # Three operations take the definitions of all kinds, as JSON and in forms: they are tried where an agent is made of JSON.
    schemas["AgentVersionCreate"]["properties"]["definition"] = {"$ref": "#/components/schemas/PromptDefinitionInput"}
    schemas["AgentUpload"]["properties"]["metadata"] = {"$ref": "#/components/schemas/AgentVersionCreate"}
    # The same of assistants, and of the messages and overrides that a run is made with.
    schemas["NewMessages"]["items"] = SHORT_MESSAGE
    for name, kept in TRIED_HERE.items():
        properties = schemas[name]["properties"]
        schemas[name]["properties"] = {field: properties[field] for field in kept}


# By the body of an operation, the fields that no other one takes.
TRIED_HERE = {
    "AssistantUpdate": ["model", "name", "metadata"],
    "ThreadAndRunCreate": ["assistant_id", "thread", "stream"],
    "ThreadRunCreate": [
        "assistant_id",
        "model",
        "additional_instructions",
        "additional_messages",
        "max_prompt_tokens",
        "truncation_strategy",
        "tool_choice",
        "response_format",
        "parallel_tool_calls",
        "metadata",
    ],
    "ThreadUpdate": ["metadata"],
}
SHORT_MESSAGE = {
    "type": "object",
    "required": ["role", "content"],
    "properties": {"role": {"enum": ["user", "assistant"]}, "content": {"type": "string"}},
}


# What every operation of a tag reads in the same way is tried at one of them.
SHARED = {
    "ApiVersion",
    "FoundryFeatures",
    "ClientRequestId",
    "Peek",
    "UserIdentity",
    "UserIsolationKey",
    "SessionIsolationKey",
}


# These tags are as one, and read pages in the same way too.
THREADED = {"Assistants", "Threads", "Messages", "Thread runs", "Run steps"}
PAGED = {"Limit", "Order", "After", "PageBefore"}


def leave_shared_out(operation, tags):
    tag = operation["tags"][0]
    tag, shared = ("Threads", SHARED | PAGED) if tag in THREADED else (tag, SHARED)
    if tag in tags:
        named = [(parameter.get("$ref", "").split("/")[-1], parameter) for parameter in operation.get("parameters", [])]
        operation["parameters"] = [parameter for name, parameter in named if name not in shared]
    tags.add(tag)


def describe_events(content):
    """Schemathesis reads the schema of a stream as that of an event; ours says what stands in its data."""
    if media := content.get("text/event-stream"):
        said = media["schema"]
        data = {"type": "string"}
        if said != data:
            data |= {"contentMediaType": "application/json", "contentSchema": said}
        media["schema"] = {"type": "object", "required": ["data"], "properties": {"data": data}}


# These have a world of their own: a fault, a reply or a switch would break every other promise, and a world that is emptied
# all the time has nothing to show.
APART = {
    "setFaults",
    "setAgentReply",
    "createProject",
    "updateProject",
    "resetProject",
    "deleteProject",
}
# What is deleted has a name of its own for the same reason, but where a link names it.
DELETES = {
    "deleteRoutine",
    "deleteAgent",
    "deleteAgentVersion",
    "deleteSession",
    "deleteSessionFile",
    "deleteAssistant",
    "deleteThread",
    "deleteMessage",
}

# The one with sandboxes stays as it is, also where an example or a link names it.
SPARED = {
    "deleteAgent": "gone",
    "deleteAgentVersion": "gone",
    "updateAgent": "demo-prompt",
    "patchAgent": "demo-prompt",
    "disableAgent": "demo-prompt",
    "createAgentVersion": "demo-prompt",
}

# By the form that a value must have to be given one of these, which mean something.
PROJECTS = (r"(?s).{1,128}", ["local", "local", "the%20east%2F%C3%A4"])
AGENTS = (r"[a-zA-Z0-9]([a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?", ["demo-agent", "demo-prompt"])
HOSTED = (AGENTS[0], AGENTS[1][:1])
ROUTINES = (r"(?s).{1,128}", ["daily-summary", "b%3Ac%2Fd"])
SESSIONS = (r"[ -~]{0,256}", ["my-session-0001", "my-session-0002"])
VERSIONS = (r"(?s).+", ["1", "2"])
FILES = (r"(?s).*", ["data/in.csv", "data", "notes.txt"])
SELECTORS = (r"(?s).{0,256}", ["demo-agent", "demo-prompt"])
CRONS = (r"\s*([0-9*/,-]+\s+){3}[0-9A-Za-z*/,-]+\s+[0-9A-Za-z*/,-]+\s*", ["0 7 * * 1-5", "*/15 * * * *", "0 0 29 2 *"])
ZONES = (r"(?s).*", ["UTC", "Europe/Berlin", "Pacific Standard Time"])
INSTANTS = (r"(?s).*", ["30m", "PT2H", "9999-12-31T23:59:59Z", 253402300799])
# A poll of the journal waits as long as it says, in the host's time.
WAITS = (r"[0-9a-zA-Z.]*", ["0s", "5ms", "PT0S", "0", ""])

# Setting the clock runs whatever is due on the way, however long that takes: only an advance has a bound.
TODAY = datetime.now(timezone.utc)
NEAR = (r"\+?\d{4,6}-\d\d-\d\dT.*", [(TODAY + timedelta(hours=hours)).isoformat() for hours in (-24, 1, 24, 240)])

# What the service gave ids to before: a run has ended on one thread, and on another one waits for the output of a call.
THREADS = json.loads(os.environ["FOUNDRITE_SCHEMATHESIS_KNOWN"])
STAY = [THREADS[name] for name in ["assistant", "other", "caller", "thread", "waiting", "message"]]
IDS = {
    "assistant_id": ("asst", "other"),
    "thread_id": ("thread", "thread"),
    "message_id": ("msg", "message"),
    "run_id": ("run", "run"),
    "step_id": ("step", "step"),
}
OF_SUBMITTED = {"thread_id": ("thread", "waiting"), "run_id": ("run", "asking")}

KNOWN = {value for _, values in [PROJECTS, AGENTS, ROUTINES, SESSIONS, VERSIONS] for value in values}


@schemathesis.hook
def map_case(context, case):
    """Values that are right in form get a meaning as well, most of them; those that are wrong stay as they are."""
    operation = case.operation.definition.raw["operationId"]
    give(case.path_parameters, "project", PROJECTS, always=True)
    agents = HOSTED if re.search("Session|Invocation", operation) else AGENTS
    give(case.path_parameters, "agent_name", (AGENTS[0], ["gone"]) if operation in DELETES else agents)
    give(case.path_parameters, "routine_name", (ROUTINES[0], ["gone"]) if operation in DELETES else ROUTINES)
    give(case.path_parameters, "session_id", (SESSIONS[0], ["my-session-gone"]) if operation in DELETES else SESSIONS)
    give(case.path_parameters, "agent_version", VERSIONS)
    give(case.query, "path", FILES)
    give(case.query, "wait", WAITS, always=True)
    if operation == "setClock":
        give(case.body, "now", NEAR, always=True)
    if isinstance(case.body, dict) and isinstance(definition := case.body.get("definition"), dict):
        # A pair that goes together.
        give(definition, "cpu", (r"(?s).*", ["1"]), always=True)
        give(definition, "memory", (r"(?s).*", ["2Gi"]), always=True)
    if operation == "createSession" and isinstance(case.body, dict):
        give(case.body, "agent_session_id", (r"[A-Za-z0-9_-]{8,128}", SESSIONS[1]))
    if case.meta is not None and case.meta.generation.mode.is_positive and isinstance(case.body, dict):
        agree(operation, case.body)
    if operation == "createOrUpdateRoutine" and isinstance(case.body, dict):
        give(case.body.get("action"), "agent_name", SELECTORS)
        triggers = case.body.get("triggers")
        for trigger in triggers.values() if isinstance(triggers, dict) else []:
            give(trigger, "cron_expression", CRONS)
            give(trigger, "time_zone", ZONES)
            give(trigger, "at", INSTANTS)
    return case


def agree(operation, body):
    """Fields that are each right, and that one another exclude."""
    definition = body.get("definition")
    if isinstance(definition, dict) and definition.get("kind") == "hosted":
        for field in ["code_configuration", "container_configuration", "container_protocol_versions"]:
            definition.pop(field, None)
        definition.setdefault("image", "registry/digest:1")
    if operation == "createResponse":
        reference = body.get("agent_reference")
        give(reference, "name", SELECTORS)
        body.pop("agent", None)
        if reference is None:
            body["model"] = body.get("model") or "gpt"
        for field in OF_THE_AGENT if reference is not None else []:
            body.pop(field, None)


@schemathesis.hook
def before_call(context, case, kwargs):
    """Examples and what is enumerated are mapped by nobody."""
    operation = case.operation.definition.raw["operationId"]
    if operation in APART and case.path_parameters.get("project") in PROJECTS[1]:
        case.path_parameters["project"] = "apart"
    if operation in SPARED and case.path_parameters.get("agent_name") == "demo-agent":
        case.path_parameters["agent_name"] = SPARED[operation]
    followed = case.meta is not None and case.meta.phase.name == "stateful"
    for name, (prefix, known) in {**IDS, **(OF_SUBMITTED if operation == "submitToolOutputs" else {})}.items():
        there = f"{prefix}_gone" if operation in DELETES else THREADS[known]
        # Of what a link brought only that of before is no one's to delete.
        form = "|".join(STAY) if followed else f"{prefix}[A-Za-z0-9_-]*"
        give(case.path_parameters, name, (form, [there]), always=True)
    if isinstance(case.body, dict):
        give(case.body, "assistant_id", (r"asst[A-Za-z0-9_-]*", [THREADS["other"], THREADS["caller"]]), always=True)
        outputs = case.body.get("tool_outputs")
        for output in outputs if isinstance(outputs, list) else []:
            give(output, "tool_call_id", (r"call_0*", [THREADS["call"]]), always=True)


OF_THE_AGENT = [
    "model",
    "instructions",
    "tools",
    "tool_choice",
    "temperature",
    "top_p",
    "text",
    "reasoning",
]


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
    """The service answers 404 where it has no such method (AZD-8241), has one that is not emulated, or reads an id."""
    if not isinstance(failure, UnsupportedMethodResponse) or not case.path.startswith(SERVICE):
        return True
    return (response.status_code, code_of(response)) not in [
        (404, "unknown_route"),
        (501, "NotEmulated"),
        (400, "invalid_value"),
    ]


def code_of(response):
    return json.loads(response.text)["error"]["code"]
