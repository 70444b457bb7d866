"""Threads and runs of azure-ai-agents as PyPI has it, signed in by DefaultAzureCredential. Prints one JSON line per test.

python threads.py VERSION-OF-azure-ai-projects
"""

import importlib.metadata
import itertools
import threading
import time

from azure.ai.agents import AgentsClient, models
from azure.core.exceptions import ClientAuthenticationError, HttpResponseError, ResourceNotFoundError
from azure.core.pipeline.policies import SansIOHTTPPolicy

from world import CREDENTIAL, NOW, World, after, fields, raised, same, send, tell, ORIGIN

SAID = "Hello there, and welcome."
WEATHER = {"name": "get_weather", "arguments": {"city": "Oslo"}}
FAILURE = {"code": "server_error", "message": "The model is out."}
STUCK = {"stuck": True}
# Long enough to be cut short: what it says comes bit by bit.
LONG = {"text": "word " * 2_000, "every": "100ms"}
ENDS = [
    ("completed", {"text": SAID}),
    ("failed", {"failed": FAILURE, "text": "Hello"}),
    ("cancelled", LONG),
    ("expired", STUCK),
]
QUICK = {"polling_interval": 0.02}


class Watch(SansIOHTTPPolicy):
    """Notes how long each poll of a run waits for its answer."""

    def __init__(self):
        self.polls = []

    def on_request(self, request):
        request.context["began"] = time.monotonic()

    def on_response(self, request, response):
        asked = request.http_request
        if asked.method == "GET" and "/runs/run_" in asked.url:
            self.polls.append(time.monotonic() - request.context["began"])


class Threads:
    def __init__(self, name, world=None):
        self.world = world or World(f"threads-{name}")
        self.watch = Watch()
        self.client = AgentsClient(self.world.endpoint, CREDENTIAL, per_call_policies=[self.watch])
        self.threads, self.messages, self.runs = self.client.threads, self.client.messages, self.client.runs

    def agent(self, *turns):
        """The id of an agent that says these turns."""
        agent = self.client.create_agent(model="gpt-4.1", name="helper", tools=weather_tool().definitions)
        if turns:
            self.world.control("PUT", f"/agents/{agent.id}/reply", {"kind": "script", "turns": list(turns)})
        return agent.id

    def thread(self, text="Hi."):
        return self.threads.create(messages=[models.ThreadMessageOptions(role="user", content=text)]).id

    def wire(self, path):
        """As no client reads it."""
        return send("GET", f"{ORIGIN}/api/projects/{self.world.name}{path}")

    def settled(self, run):
        while run.status in ("queued", "in_progress", "cancelling"):
            run = self.runs.get(run.thread_id, run.id)
        return run


def get_weather(city: str) -> str:
    """How it is there."""
    return f"rain in {city}"


def get_lost(city: str) -> str:
    """Fails."""
    raise LookupError(f"no {city}")


def weather_tool():
    return models.FunctionTool({get_weather})


def is_this_version():
    same(importlib.metadata.version("azure-ai-agents"), "1.1.0")


def creates_reads_changes_and_deletes_agents_threads_and_messages():
    own = Threads("crud")
    client, metadata = own.client, {"topic": "greetings"}
    made = client.create_agent(
        model="gpt-4.1", name="writer", instructions="Be brief.", tools=weather_tool().definitions, metadata=metadata
    )
    fields(made, {"object": "assistant", "name": "writer", "created_at": NOW, "metadata": metadata})
    same(client.get_agent(made.id), made)
    same(client.update_agent(made.id, description="Writes.").description, "Writes.")
    thread = own.threads.create(metadata=metadata)
    fields(thread, {"object": "thread", "created_at": NOW, "metadata": metadata})
    same(own.threads.get(thread.id), thread)
    same(own.threads.update(thread.id, metadata={"a": "b"}).metadata, {"a": "b"})
    blocks = [models.MessageInputTextBlock(text="Hi."), models.MessageInputTextBlock(text="And this.")]
    said = own.messages.create(thread.id, role="user", content=blocks)
    same([content.text.value for content in said.text_messages], ["Hi.", "And this."])
    fields(said, {"status": "completed", "role": "user", "created_at": NOW})
    same(own.messages.get(thread.id, said.id), said)
    same(own.messages.update(thread.id, said.id, metadata={"a": "b"}).metadata, {"a": "b"})
    same(own.threads.delete(thread.id), None)
    raised(ResourceNotFoundError, lambda: own.threads.get(thread.id), status_code=404)
    same(client.delete_agent(made.id), None)
    raised(ResourceNotFoundError, lambda: client.get_agent(made.id), status_code=404)


def reads_changes_and_lists_runs_and_their_steps():
    own = Threads("runs")
    agent, thread = own.agent({"text": SAID}), own.thread()
    made = own.runs.create(
        thread,
        agent_id=agent,
        additional_messages=[models.ThreadMessageOptions(role="user", content="One more.")],
        temperature=0.5,
        include=["step_details.tool_calls[*].file_search.results[*].content"],
    )
    fields(made, {"object": "thread.run", "status": "queued", "created_at": NOW, "temperature": 0.5})
    same(made.expires_at, after(600))
    own.world.advance("10s")
    done = own.runs.get(thread, made.id)
    fields(done, {"status": "completed", "required_action": None, "expires_at": None})
    assert done.completed_at > NOW and done.usage.total_tokens > 0, done
    same(own.runs.update(thread, made.id, metadata={"a": "b"}).metadata, {"a": "b"})
    same([run.id for run in own.runs.list(thread)], [made.id])
    (step,) = own.client.run_steps.list(thread, made.id)
    fields(step, {"type": "message_creation", "status": "completed", "run_id": made.id})
    same(own.client.run_steps.get(thread, made.id, step.id), step)
    (message,) = own.messages.list(thread, run_id=made.id)
    same(step.step_details.message_creation.message_id, message.id)
    same(own.messages.get_last_message_text_by_role(thread, "assistant").text.value, SAID)


def polls_a_run_to_each_of_its_ends_and_no_poll_waits_longer_than_its_interval():
    world = World("threads-polls")
    found = {}

    def poll(end, turn):
        own = Threads("polls", world=world)
        agent, thread = own.agent(turn), own.thread()
        if end == "cancelled":
            threading.Thread(target=cancel, args=(own, thread)).start()
        found[end] = (own.runs.create_and_process(thread, agent_id=agent), own.watch.polls)

    def cancel(own, thread):
        # Its first poll is a second away.
        while not (runs := list(own.runs.list(thread))):
            pass
        own.runs.cancel(thread, runs[0].id)

    polls = [threading.Thread(target=poll, args=end) for end in ENDS]
    for each in polls:
        each.start()
    for each in polls:
        each.join()
    for end, (run, took) in found.items():
        # It does not know a run that is cancelling, and stops there.
        assert run.status == end or (end, run.status) == ("cancelled", "cancelling"), (end, run.status)
        assert len(took) <= 6 and max(took) < 1, f"{end}: polls took {took}"
    same(sorted(found), sorted(end for end, _ in ENDS))
    same(found["failed"][0].last_error.message, FAILURE["message"])


def calls_its_own_functions_while_it_polls():
    own = Threads("functions")
    own.client.enable_auto_function_calls({get_weather})
    bergen = {**WEATHER, "arguments": {"city": "Bergen"}}
    agent = own.agent({"tool_calls": [WEATHER, bergen], "next": {"tool_calls": [WEATHER]}})
    run = own.runs.create_and_process(own.thread(), agent_id=agent, **QUICK)
    same(run.status, "completed")
    said = own.messages.get_last_message_text_by_role(run.thread_id, "assistant")
    assert "rain in Oslo" in said.text.value, said
    steps = list(own.client.run_steps.list(run.thread_id, run.id, order="asc"))
    same([step.type for step in steps], ["tool_calls", "tool_calls", "message_creation"])
    called = [[call.function.arguments for call in step.step_details.tool_calls] for step in steps[:2]]
    same([len(calls) for calls in called], [2, 1])
    agent = own.agent({"tool_calls": [WEATHER], "next": {"text": SAID}})
    run = own.client.create_thread_and_process_run(
        agent_id=agent,
        thread=models.AgentThreadCreationOptions(messages=[models.ThreadMessageOptions(role="user", content="Hi.")]),
        **QUICK,
    )
    same(run.status, "completed")


def cancels_a_run_whose_function_keeps_failing():
    own = Threads("failing-functions")
    own.client.enable_auto_function_calls({get_lost}, max_retry=0)
    agent = own.agent({"tool_calls": [{"name": "get_lost", "arguments": {"city": "Oslo"}}]})
    run = own.runs.create_and_process(own.thread(), agent_id=agent, **QUICK)
    same(own.settled(run).status, "cancelled")


def submits_outputs_by_hand():
    own = Threads("by-hand")
    run = own.runs.create(own.thread(), agent_id=own.agent({"tool_calls": [WEATHER], "next": {"text": SAID}}))
    parked = own.settled(run)
    same(parked.status, "requires_action")
    assert isinstance(parked.required_action, models.SubmitToolOutputsAction), parked
    (call,) = parked.required_action.submit_tool_outputs.tool_calls
    same((call.type, call.function.name), ("function", "get_weather"))
    outputs = [models.ToolOutput(tool_call_id=call.id, output="rain")]
    same(own.runs.submit_tool_outputs(run.thread_id, run.id, tool_outputs=outputs).status, "queued")
    same(own.settled(own.runs.get(run.thread_id, run.id)).status, "completed")


def streams_a_run_to_each_of_its_ends():
    own = Threads("streams")
    for end, turn in ENDS:
        agent, thread = own.agent(turn), own.thread()
        with own.runs.stream(thread, agent_id=agent) as stream:
            names, run, text, cancelled = [], None, "", False
            for event, data, _ in stream:
                names.append(event)
                if isinstance(data, models.ThreadRun):
                    run = data
                if isinstance(data, models.MessageDeltaChunk):
                    text += data.text
                    if end == "cancelled" and not cancelled:
                        cancelled = True
                        own.runs.cancel(thread, run.id)
        same(names[:3], ["thread.run.created", "thread.run.queued", "thread.run.in_progress"])
        same(names[-2:], [f"thread.run.{end}", "done"])
        same(own.wire(f"/threads/{thread}/runs/{run.id}")["status"], end)
        same(run.status, end)
        if end == "completed":
            same(text, SAID)
            same(own.messages.get_last_message_text_by_role(thread, "assistant").text.value, text)


def calls_its_own_functions_while_it_streams():
    class Handler(models.AgentEventHandler):
        def __init__(self):
            super().__init__()
            self.seen, self.text, self.is_done = [], "", False

        def on_thread_run(self, run):
            self.seen.append(f"run {run.status.value}")

        def on_run_step(self, step):
            self.seen.append(f"{step.type.value} {step.status.value}")

        def on_thread_message(self, message):
            self.seen.append(f"message {message.status.value}")

        def on_message_delta(self, delta):
            self.text += delta.text

        def on_done(self):
            self.is_done = True

    own = Threads("stream-functions")
    own.client.enable_auto_function_calls({get_weather})
    agent = own.agent({"tool_calls": [WEATHER], "next": {"text": SAID}})
    handler = Handler()
    with own.runs.stream(own.thread(), agent_id=agent, event_handler=handler) as stream:
        stream.until_done()
    same((handler.text, handler.is_done), (SAID, True))
    once = [seen for seen, _ in itertools.groupby(handler.seen)]
    same(
        once,
        [
            "run queued",
            "run in_progress",
            "tool_calls in_progress",
            "run requires_action",
            "tool_calls completed",
            "run queued",
            "run in_progress",
            "message_creation in_progress",
            "message in_progress",
            "message completed",
            "message_creation completed",
            "run completed",
        ],
    )


def pages_through_agents_threads_messages_runs_and_steps():
    own = Threads("pages")
    agents = [own.agent({"tool_calls": [WEATHER], "next": {"text": SAID}}) for _ in range(3)]
    threads = [own.thread(f"message {number}") for number in range(5)]
    thread = threads[0]
    for number in range(1, 47):
        own.messages.create(thread, role="user", content=f"message {number}")
    own.client.enable_auto_function_calls({get_weather})
    runs = [own.runs.create_and_process(thread, agent_id=agents[0], **QUICK).id for _ in range(3)]
    said = [message.content[0].text.value for message in own.messages.list(thread, order="asc")]
    same(said[:47], [f"message {number}" for number in range(47)])
    same(len(said), 50)
    same([m.content[0].text.value for m in own.messages.list(thread, limit=7)], list(reversed(said)))
    same([run.id for run in own.runs.list(thread, limit=2, order="asc")], runs)
    steps = [step.type for step in own.client.run_steps.list(thread, runs[0], limit=1)]
    same(steps, ["message_creation", "tool_calls"])
    same([each.id for each in own.threads.list(limit=2)], list(reversed(threads)))
    listed = [each.id for each in own.client.list_agents(limit=2) if each.name == "helper"]
    same(listed, list(reversed(agents)))
    empty = own.threads.create().id
    same(list(own.messages.list(empty)), [])


def raises_what_was_refused_with_its_status_and_text():
    own = Threads("refused")
    agent, thread = own.agent(STUCK), own.thread()
    active = own.runs.create(thread, agent_id=agent)
    for kind, ask in (
        ("assistant", lambda: own.client.get_agent("asst_none")),
        ("assistant", lambda: own.runs.create(own.thread(), agent_id="asst_none")),
        ("thread", lambda: own.threads.get("thread_none")),
        ("thread", lambda: own.messages.create("thread_none", role="user", content="Hi.")),
        ("thread", lambda: list(own.messages.list("thread_none"))),
        ("run", lambda: own.runs.get(thread, "run_none")),
        ("run", lambda: list(own.client.run_steps.list(thread, "run_none"))),
        ("message", lambda: own.messages.get(thread, "msg_none")),
    ):
        error = raised(ResourceNotFoundError, ask, status_code=404)
        prefix = {"assistant": "asst", "message": "msg"}.get(kind, kind)
        assert f"No {kind} found with id '{prefix}_none'." in error.message, error.message
    for text, ask in (
        (
            f"Can't add messages to {thread} while a run {active.id} is active.",
            lambda: own.messages.create(thread, role="user", content="Hi."),
        ),
        (
            f"Thread {thread} already has an active run {active.id}.",
            lambda: own.runs.create(thread, agent_id=agent),
        ),
        (
            'Runs in status "queued" do not accept tool outputs.',
            lambda: own.runs.submit_tool_outputs(thread, active.id, tool_outputs=[{"tool_call_id": "call_1"}]),
        ),
        (
            "Invalid 'assistant_id': 'bot'. Expected an ID that begins with 'asst'.",
            lambda: own.runs.create(own.thread(), agent_id="bot"),
        ),
        (
            "Invalid value: 'human'. Supported values are: 'user' and 'assistant'.",
            lambda: own.messages.create(own.thread(), role="human", content="Hi."),
        ),
    ):
        error = raised(HttpResponseError, ask, status_code=400)
        assert text in error.message, error.message
        same(error.model.error.type, "invalid_request_error")
    own.runs.cancel(thread, active.id)
    same(own.settled(own.runs.get(thread, active.id)).status, "cancelled")
    error = raised(HttpResponseError, lambda: own.runs.cancel(thread, active.id), status_code=400)
    assert "Cannot cancel run with status 'cancelled'." in error.message, error.message


def is_not_let_in_without_a_token():
    class Nobody:
        def get_token(self, *_, **__):
            return type("Token", (), {"token": "", "expires_on": 4_102_444_800})()

    own = Threads("signed-out")
    stranger = AgentsClient(own.world.endpoint, Nobody())
    error = raised(ClientAuthenticationError, stranger.threads.create, status_code=401)
    assert "Unauthorized" in error.message, error.message


TESTS = [
    is_this_version,
    creates_reads_changes_and_deletes_agents_threads_and_messages,
    reads_changes_and_lists_runs_and_their_steps,
    polls_a_run_to_each_of_its_ends_and_no_poll_waits_longer_than_its_interval,
    calls_its_own_functions_while_it_polls,
    cancels_a_run_whose_function_keeps_failing,
    submits_outputs_by_hand,
    streams_a_run_to_each_of_its_ends,
    calls_its_own_functions_while_it_streams,
    pages_through_agents_threads_messages_runs_and_steps,
    raises_what_was_refused_with_its_status_and_text,
    is_not_let_in_without_a_token,
]

tell(TESTS)
