"""Agents of azure-ai-projects as PyPI has it, signed in by DefaultAzureCredential. Prints one JSON line per test.

python agents.py VERSION
"""

import hashlib
import io
import json
import re

import openai
from azure.ai.projects import models
from azure.core.exceptions import HttpResponseError, ResourceExistsError, ResourceNotFoundError

from world import AGENT, NOW, VERSION, World, after, fields, raised, same, tell

FIRST = VERSION == "2.1.0"
NEWEST = VERSION not in ("2.1.0", "2.2.0")
IMAGE = "myregistry.azurecr.io/my-agent:v2"
RESPONSES = models.ProtocolVersionRecord(protocol="responses", version="1.0.0")
ONE = models.VersionRefIndicator(agent_version="1")
SAID = "Hello there, and welcome."
REFERENCE = {"agent_reference": {"type": "agent_reference", "name": AGENT}}


class Agents:
    """In the words of the newest version, whichever this one is."""

    def __init__(self, name, **options):
        self.world = World(f"agents-{name}", **options)
        self.project = self.world.client() if NEWEST else self.world.client(allow_preview=True)
        self.agents = self.project.agents
        self.sessions = self.agents if NEWEST else self.project.beta.agents
        self.mine = {"isolation_key": "me"} if FIRST else {}

    def patch(self, agent_endpoint):
        patch = self.agents.update_details if NEWEST else self.sessions.patch_agent_details
        return patch(agent_name=AGENT, agent_endpoint=agent_endpoint)

    def open(self, **options):
        return self.sessions.create_session(AGENT, version_indicator=ONE, **self.mine, **options)

    def files(self, session, path=None):
        if FIRST:
            return self.sessions.get_session_files(AGENT, session, path=path or ".").entries
        return list(self.sessions.list_session_files(AGENT, session, **({"path": path} if path else {})))


def hosted(image=IMAGE):
    sized = {"cpu": "1", "memory": "2Gi"}
    if FIRST:
        return models.HostedAgentDefinition(image=image, container_protocol_versions=[RESPONSES], **sized)
    container = models.ContainerConfiguration(image=image)
    return models.HostedAgentDefinition(container_configuration=container, protocol_versions=[RESPONSES], **sized)


def prompt(**more):
    return models.PromptAgentDefinition(model="gpt-4.1-mini", instructions="Be brief.", **more)


def routed(*split):
    rules = [
        models.FixedRatioVersionSelectionRule(agent_version=version, traffic_percentage=percentage)
        for version, percentage in split
    ]
    selector = models.VersionSelector(version_selection_rules=rules)
    if FIRST:
        return models.AgentEndpoint(version_selector=selector, protocols=["responses"])
    if NEWEST:
        protocols = models.ProtocolConfiguration(responses=models.ResponsesProtocolConfiguration())
        return models.AgentEndpointConfig(version_selector=selector, protocol_configuration=protocols)
    return models.AgentEndpointConfig(version_selector=selector, protocols=["responses"])


def creates_reads_lists_and_deletes_versions_and_the_agent():
    agents = Agents("crud").agents
    made = agents.create_version("writer", definition=prompt(), description="Writes.", metadata={"team": "press"})
    fields(
        made,
        {
            "object": "agent.version",
            "id": "writer:1",
            "name": "writer",
            "version": "1",
            "description": "Writes.",
            "metadata": {"team": "press"},
            "status": "active",
            "created_at": NOW,
        },
    )
    assert isinstance(made.definition, models.PromptAgentDefinition), made.definition
    same(agents.create_version("writer", definition=prompt()), made)
    same(agents.create_version("writer", definition=prompt(temperature=0.5)).version, "2")
    same(agents.get_version("writer", "1"), made)
    agent = agents.get("writer")
    fields(agent, {"object": "agent", "id": "writer", "name": "writer"})
    same(agent.versions["latest"]["version"], "2")
    same([each.name for each in agents.list()], ["writer", AGENT])
    same([each.name for each in agents.list(kind="hosted")], [AGENT])
    same([each.version for each in agents.list_versions("writer")], ["2", "1"])
    fields(agents.delete_version("writer", "1"), {"name": "writer", "version": "1", "deleted": True})
    raised(ResourceNotFoundError, lambda: agents.get_version("writer", "1"), status_code=404)
    fields(agents.delete("writer"), {"name": "writer", "deleted": True})
    error = raised(ResourceNotFoundError, lambda: agents.get("writer"), status_code=404)
    same(error.error.code, "not_found")


def reads_a_hosted_version_in_its_own_spelling_and_its_identity():
    agents = Agents("hosted").agents
    made = agents.create_version("runner", definition=hosted())
    definition = agents.get_version("runner", "1").definition
    assert isinstance(definition, models.HostedAgentDefinition), definition
    same(definition, made.definition)
    same((definition.cpu, definition.memory), ("1", "2Gi"))
    if FIRST:
        same((definition.image, definition.container_protocol_versions), (IMAGE, [RESPONSES]))
    else:
        same((definition.container_configuration.image, definition.protocol_versions), (IMAGE, [RESPONSES]))
    identity = agents.get("runner").instance_identity
    assert re.fullmatch("[0-9a-f-]{36}", identity["principal_id"]), identity
    same(made.instance_identity, identity)


def makes_lists_and_deletes_a_draft():
    agents = Agents("drafts").agents
    draft = agents.create_version(AGENT, definition=hosted(), draft=True)
    assert re.fullmatch(r"draft-\d{13}", draft.version), draft
    same(draft.draft, True)
    same([each.version for each in agents.list_versions(AGENT)], ["1"])
    same([each.version for each in agents.list_versions(AGENT, include_drafts=True)], [draft.version, "1"])
    same(agents.get(AGENT).versions.latest.version, "1")
    agents.delete_version(AGENT, draft.version)
    raised(ResourceNotFoundError, lambda: agents.get_version(AGENT, draft.version))


def asks_for_a_draft_in_the_body_alone():
    # Neither version knows the word, and a body of one's own goes as it stands.
    agents = Agents("drafts").agents
    body = {"definition": json.loads(json.dumps(hosted().as_dict())), "draft": True}
    assert re.fullmatch(r"draft-\d{13}", agents.create_version(AGENT, body).version)
    same([each.version for each in agents.list_versions(AGENT)], ["1"])


def routes_traffic():
    own = Agents("patch")
    own.agents.create_version(AGENT, definition=hosted())
    patched = own.patch(routed(("1", 90), ("2", 10)))
    rules = patched.agent_endpoint.version_selector.version_selection_rules
    same([(rule.agent_version, rule.traffic_percentage) for rule in rules], [("1", 90), ("2", 10)])
    assert isinstance(rules[0], models.FixedRatioVersionSelectionRule), rules
    same(own.agents.get(AGENT), patched)
    refused = raised(HttpResponseError, lambda: own.patch(routed(("9", 100))), status_code=400)
    assert isinstance(refused.model, models.ApiErrorResponse), refused.model
    own.patch(routed(("1", 100)))
    same(own.open().version_indicator, ONE)


def disables_an_agent_and_enables_it_again():
    own = Agents("disable")
    for _ in ("once", "again"):
        same(own.agents.disable(AGENT), None)
    same(own.agents.get(AGENT).state, "disabled")
    error = raised(HttpResponseError, own.open, status_code=403)
    same(error.error.code, "agent_disabled")
    for _ in ("once", "again"):
        same(own.agents.enable(AGENT), None)
    same(own.agents.get(AGENT).state, "enabled")


def creates_reads_lists_stops_and_deletes_a_session():
    own = Agents("sessions")
    sessions = own.sessions
    made = own.open(agent_session_id="session-of-mine")
    at = {"created_at": NOW, "last_accessed_at": NOW, "expires_at": after(30 * 24 * 3_600)}
    fields(made, {"agent_session_id": "session-of-mine", "status": "active", **at})
    same(made.version_indicator, ONE)
    same(sessions.get_session(AGENT, "session-of-mine"), made)
    second = own.open()
    listed = [each.agent_session_id for each in sessions.list_sessions(AGENT)]
    same(listed, [second.agent_session_id, "session-of-mine"])
    if not FIRST:
        for _ in ("once", "again"):
            same(sessions.stop_session(AGENT, "session-of-mine"), None)
        same(sessions.get_session(AGENT, "session-of-mine").status, "idle")
    for _ in ("once", "again"):
        same(sessions.delete_session(AGENT, "session-of-mine", **own.mine), None)
    error = raised(ResourceNotFoundError, lambda: sessions.get_session(AGENT, "session-of-mine"))
    same(error.error.code, "not_found")


def writes_reads_lists_and_deletes_the_files_of_a_session():
    own = Agents("files")
    sessions, session = own.sessions, own.open().agent_session_id
    for path in ("data/a b.bin", "data/c.bin", "top.bin"):
        fields(sessions.upload_session_file(AGENT, session, b"\0\xff\n\r", path=path), {"bytes_written": 4})
    same(b"".join(sessions.download_session_file(AGENT, session, path="data/a b.bin")), b"\0\xff\n\r")
    top = [(each.name, each.size, each.is_directory, each.modified_time) for each in own.files(session)]
    same(top, [("data", 0, True, NOW), ("top.bin", 4, False, NOW)])
    same([each.name for each in own.files(session, "data")], ["a b.bin", "c.bin"])
    raised(ResourceExistsError, lambda: sessions.delete_session_file(AGENT, session, path="data"), status_code=409)
    sessions.delete_session_file(AGENT, session, path="data", recursive=True)
    sessions.delete_session_file(AGENT, session, path="top.bin")
    same(own.files(session), [])


def streams_the_logs_of_a_session():
    own = Agents("logs")
    session = own.open().agent_session_id
    text = b""
    for chunk in own.sessions.get_session_log_stream(AGENT, "1", session):
        text += chunk
        if b"Successfully connected" in text:
            break
    event, data = text.split(b"\n\n")[0].split(b"\n")
    same(event, b"event: log")
    line = json.loads(data.removeprefix(b"data: "))
    same((line["stream"], line["message"]), ("status", "Connecting to the container 'agent-container'..."))
    raised(ResourceNotFoundError, lambda: own.sessions.get_session_log_stream(AGENT, "1", "none"))


def uploads_the_code_of_a_version_and_gets_it_back():
    own = Agents("code")
    archive = b"PK\x05\x06" + bytes(18)
    digest = hashlib.sha256(archive).hexdigest()
    code = models.CodeConfiguration(runtime="python_3_13", entry_point=["python", "main.py"])
    definition = models.HostedAgentDefinition(
        cpu="1", memory="2Gi", code_configuration=code, protocol_versions=[RESPONSES]
    )

    def upload(sha256):
        if NEWEST:
            stream = io.BytesIO(archive)
            stream.name = "code.zip"
            return own.sessions.create_version_from_code(
                AGENT, definition=definition, code=stream, code_zip_sha256=sha256
            )
        metadata = models.CreateAgentVersionFromCodeMetadata(definition=definition)
        content = models.CreateAgentVersionFromCodeContent(metadata=metadata, code=("code.zip", archive))
        return own.sessions.create_version_from_code(AGENT, content, code_zip_sha256=sha256)

    raised(HttpResponseError, lambda: upload("0" * 64), status_code=400)
    made = upload(digest)
    same((made.version, made.definition.code_configuration["content_hash"]), ("2", digest))
    same(upload(digest), made)
    same(b"".join(own.sessions.download_code(AGENT)), archive)
    raised(ResourceExistsError, lambda: own.sessions.download_code(AGENT, agent_version="1"), status_code=409)


def pages_through_agents_versions_and_sessions():
    own = Agents("pages")
    for name in ("a1", "a2", "a3", "a4"):
        own.agents.create_version(name, definition=prompt())
    for image in "2345":
        own.agents.create_version(AGENT, definition=hosted(image))
    ids = [own.open().agent_session_id for _ in range(5)]
    for order in ("desc", "asc"):
        for found, field, oldest_first in (
            (own.agents.list(limit=2, order=order), "name", [AGENT, "a1", "a2", "a3", "a4"]),
            (own.agents.list_versions(AGENT, limit=2, order=order), "version", ["1", "2", "3", "4", "5"]),
            (own.sessions.list_sessions(AGENT, limit=2, order=order), "agent_session_id", ids),
        ):
            pages = [[getattr(each, field) for each in page] for page in found.by_page()]
            a, b, c, d, e = oldest_first if order == "asc" else reversed(oldest_first)
            same([page for page in pages if page], [[a, b], [c, d], [e]])


def raises_what_was_refused_with_its_status_code_and_parameter():
    own = Agents("refused")
    error = raised(
        HttpResponseError, lambda: own.agents.create_version("-no-", definition=prompt()), status_code=400
    )
    same((error.error.code, error.model.error.param), ("invalid_request", "agent_name"))
    uneven = hosted()
    uneven.memory = "3Gi"
    error = raised(HttpResponseError, lambda: own.agents.create_version(AGENT, definition=uneven), status_code=400)
    same(error.error.code, "bad_request")
    for ask in (
        lambda: own.agents.get("none"),
        lambda: own.agents.delete("none"),
        lambda: list(own.agents.list_versions("none")),
        lambda: own.agents.delete_version(AGENT, "9"),
        lambda: list(own.sessions.list_sessions("none")),
        lambda: own.sessions.get_session(AGENT, "none"),
    ):
        same(raised(ResourceNotFoundError, ask, status_code=404).error.code, "not_found")


def each_openai_client(name):
    """At the project and at the agent, with what a body needs besides."""
    own = Agents(name)
    own.world.control("PUT", f"/agents/{AGENT}/reply", {"kind": "script", "turns": [{"text": SAID}]})
    yield own.project.get_openai_client(), REFERENCE
    yield own.project.get_openai_client(agent_name=AGENT), {}


def openai_creates_streams_reads_and_deletes_responses():
    for client, body in each_openai_client("responses"):
        made = client.responses.create(input="Hi.", extra_body=body)
        same((made.status, made.output_text), ("completed", SAID))
        assert made.id.startswith("caresp_") and made.model_extra["agent_session_id"], made
        same(client.responses.retrieve(made.id).output_text, SAID)
        events = list(client.responses.create(input="Hi.", stream=True, extra_body=body))
        same([event.sequence_number for event in events], list(range(len(events))))
        deltas = [event.delta for event in events if event.type == "response.output_text.delta"]
        same("".join(deltas), SAID)
        same((events[0].type, events[-1].type), ("response.created", "response.completed"))
        again = {**body, "agent_session_id": made.model_extra["agent_session_id"]}
        followed = client.responses.create(input="Hi.", extra_body=again)
        same(followed.model_extra["agent_session_id"], made.model_extra["agent_session_id"])
        client.responses.delete(made.id)
        try:
            client.responses.retrieve(made.id)
        except openai.NotFoundError as error:
            same(error.code, "not_found")
        else:
            raise AssertionError("the response is still there")


def openai_keeps_conversations():
    for client, body in each_openai_client("conversations"):
        system = {"type": "message", "role": "system", "content": "Be kind."}
        conversation = client.conversations.create(metadata={"topic": "greetings"}, items=[system])
        assert conversation.id.startswith("conv_"), conversation
        first = client.responses.create(input="Hi.", conversation=conversation.id, extra_body=body)
        second = client.responses.create(input="And again.", conversation=conversation.id, extra_body=body)
        same(second.model_extra["agent_session_id"], first.model_extra["agent_session_id"])
        items = client.conversations.items.list(conversation.id, order="asc", limit=2)
        said = [(item.role, item.content[0].text) for item in items]
        turns = [("user", "Hi."), ("assistant", SAID), ("user", "And again."), ("assistant", SAID)]
        same(said, [("system", "Be kind."), *turns])
        same(client.conversations.update(conversation.id, metadata={"a": "b"}).metadata, {"a": "b"})
        same(client.conversations.delete(conversation.id).deleted, True)


def openai_raises_what_was_refused():
    own = Agents("openai-refused")
    for client, body in (
        (own.project.get_openai_client(), {"agent_reference": {"type": "agent_reference", "name": "none"}}),
        (own.project.get_openai_client(agent_name="none"), {}),
    ):
        try:
            client.responses.create(input="Hi.", extra_body=body)
        except openai.NotFoundError as error:
            same((error.status_code, error.code), (404, "not_found"))
        else:
            raise AssertionError("an agent that does not exist answered")


TESTS = [
    creates_reads_lists_and_deletes_versions_and_the_agent,
    reads_a_hosted_version_in_its_own_spelling_and_its_identity,
    makes_lists_and_deletes_a_draft if NEWEST else asks_for_a_draft_in_the_body_alone,
    routes_traffic,
    *([disables_an_agent_and_enables_it_again] if NEWEST else []),
    creates_reads_lists_stops_and_deletes_a_session,
    writes_reads_lists_and_deletes_the_files_of_a_session,
    streams_the_logs_of_a_session,
    *([] if FIRST else [uploads_the_code_of_a_version_and_gets_it_back]),
    pages_through_agents_versions_and_sessions,
    raises_what_was_refused_with_its_status_code_and_parameter,
    openai_creates_streams_reads_and_deletes_responses,
    openai_keeps_conversations,
    openai_raises_what_was_refused,
]

tell(TESTS)
