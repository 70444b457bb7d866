"""azure-ai-projects as PyPI has it, signed in by DefaultAzureCredential. Prints one JSON line per test.

python routines.py VERSION
"""

import datetime
import os
import re
import ssl
import time
import urllib.request

import azure.ai.projects
from azure.ai.projects import models
from azure.core.credentials import AccessToken
from azure.core.exceptions import (
    ClientAuthenticationError,
    HttpResponseError,
    ResourceExistsError,
    ResourceNotFoundError,
    ServiceRequestError,
    ServiceResponseError,
)

from world import AGENT, NOW, SECURE, VERSION, World as AnyWorld, after, fields, raised, same, tell

OLD = VERSION == "2.2.0"
UTC = datetime.timezone.utc

RESPONSES = {"type": "invoke_agent_responses_api", "agent_name": AGENT}
INVOCATIONS = {"type": "invoke_agent_invocations_api", "agent_name": AGENT}
WEEKDAYS = {"weekday-morning": {"type": "schedule", "cron_expression": "0 7 * * 1-5", "time_zone": "UTC"}}
CUSTOM = {"hook": {"type": "custom", "provider": "p", "event_name": "opened", "parameters": {"x": [1]}}}


class World(AnyWorld):
    """With the routines of its client."""

    def __init__(self, name, **options):
        super().__init__(name, **options)
        self.routines = self.client()

    def client(self, credential=None, **options):
        return super().client(credential, **options).beta.routines


def is_the_published_package():
    same(azure.ai.projects.__version__, VERSION)


def creates_reads_disables_enables_replaces_and_deletes_a_routine():
    world = World("crud")
    routines = world.routines
    action = {**RESPONSES, "input": {"city": "Oslo", "days": [1, 2.5, None]}, "conversation": "conv_1"}
    made = {
        "name": "daily-summary",
        "description": "Runs a daily summary agent on weekday mornings.",
        "enabled": True,
        "created_at": NOW,
        "updated_at": NOW,
    }

    def whole(routine, **changed):
        fields(routine, {**made, **changed})
        (key, trigger), = routine.triggers.items()
        same(key, "weekday-morning")
        assert isinstance(trigger, models.ScheduleRoutineTrigger), trigger
        fields(trigger, {"type": "schedule", "cron_expression": "0 7 * * 1-5", "time_zone": "UTC"})

    def answers(routine, **changed):
        whole(routine, **changed)
        assert isinstance(routine.action, models.InvokeAgentResponsesApiRoutineAction), routine.action
        fields(routine.action, {"agent_name": AGENT, "conversation": "conv_1", "input": action["input"]})

    answers(
        routines.create_or_update(
            routine_name="daily-summary",
            description=made["description"],
            enabled=True,
            triggers=WEEKDAYS,
            action=action,
        )
    )
    answers(routines.get("daily-summary"))
    world.advance("1h")
    answers(routines.disable("daily-summary"), enabled=False, updated_at=after(3600))
    world.advance("1s")
    answers(routines.enable("daily-summary"), updated_at=after(3601))
    world.advance("1s")
    replaced = routines.create_or_update(
        "daily-summary",
        triggers={"weekday-morning": models.ScheduleRoutineTrigger(cron_expression="0 7 * * 1-5", time_zone="UTC")},
        action=models.InvokeAgentInvocationsApiRoutineAction(agent_name=AGENT, session_id="s-1"),
    )
    whole(replaced, description="", updated_at=after(3602))
    assert isinstance(replaced.action, models.InvokeAgentInvocationsApiRoutineAction), replaced.action
    fields(replaced.action, {"agent_name": AGENT, "session_id": "s-1"})
    same(list(routines.list()), [replaced])
    same(routines.delete("daily-summary"), None)
    same(list(routines.list()), [])
    same(routines.delete("daily-summary"), None)


def sends_the_three_forms_of_a_timer_and_decodes_the_instant():
    world = World("timer")
    at = datetime.datetime(2026, 9, 1, 9, tzinfo=UTC)
    zone = "America/Los_Angeles"
    forms = [
        ({"at": "30m"}, after(1_800)),
        ({"at": "2h"}, after(7_200)),
        ({"at": "2026-09-01T09:00:00", "time_zone": zone}, datetime.datetime(2026, 9, 1, 16, tzinfo=UTC)),
        ({"at": "2026-09-01T09:00:00Z"}, at),
    ]
    for index, (form, instant) in enumerate(forms):
        name = f"t{index}"
        made = world.routines.create_or_update(name, triggers={"t": {"type": "timer", **form}}, action=RESPONSES)
        for routine in (made, world.routines.get(name)):
            assert isinstance(routine.triggers["t"], models.TimerRoutineTrigger), routine.triggers
            fields(routine.triggers["t"], {"at": instant})
            same(routine.triggers["t"].get("time_zone"), form.get("time_zone"))
    same([entry["body"]["triggers"]["t"] for entry in world.sent()], [{"type": "timer", **form} for form, _ in forms])


def sends_the_instant_of_a_timer_model():
    world = World("timer-model")
    at = datetime.datetime(2026, 9, 1, 9, tzinfo=UTC)
    made = world.routines.create_or_update("t", triggers={"t": models.TimerRoutineTrigger(at=at)}, action=RESPONSES)
    fields(made.triggers["t"], {"at": at})
    same(world.sent()[0]["body"]["triggers"]["t"]["at"], "2026-09-01T09:00:00Z" if OLD else 1788253200)


def reads_event_triggers_back_as_it_wrote_them():
    routines = World("events").routines
    issue = {"type": "github_issue", "connection_id": "c", "owner": "o", "repository": "r", "issue_event": "opened"}
    kinds = {"hook": models.CustomRoutineTrigger, "issue": models.GitHubIssueRoutineTrigger}
    for triggers in (CUSTOM, {"issue": issue}):
        made = routines.create_or_update("e", triggers=triggers, action=RESPONSES)
        (key, trigger), = made.triggers.items()
        assert isinstance(trigger, kinds[key]), trigger
        fields(trigger, triggers[key])


def reaches_a_routine_whose_name_holds_separators_and_spaces():
    routines = World("names").routines
    name = "a:b c/d:enable%é"
    made = routines.create_or_update(name, triggers=WEEKDAYS, action=RESPONSES)
    same(made.name, name)
    same(routines.disable(name).enabled, False)
    same(routines.enable(name), made)
    same(routines.get(name), made)
    assert routines.dispatch(name).dispatch_id
    same(len(list(routines.list_runs(name))), 1)
    routines.delete(name)
    raised(ResourceNotFoundError, lambda: routines.get(name))


def dispatches_and_sees_the_run_end_when_it_asks_again():
    world = World("dispatch")
    routines = world.routines
    world.arm({"agent": AGENT, "attempts": [503, "ok"]})
    conversation = world.conversation()
    routines.create_or_update("r", triggers=WEEKDAYS, action={**RESPONSES, "conversation": conversation})
    payload = {"type": RESPONSES["type"], "input": "Run the daily summary for testing."}
    result = routines.dispatch(routine_name="r", payload=payload)
    assert result.dispatch_id.startswith("disp-") and result.task_id.startswith("task-"), result
    assert result.action_correlation_id, result

    run = {
        "attempt_source": "queued_dispatch",
        "action_type": RESPONSES["type"],
        "agent_id": AGENT,
        "agent_endpoint_id": None,
        "conversation_id": conversation,
        "session_id": None,
        "triggered_at": NOW,
        "scheduled_fire_at": None,
        "trigger_type": None,
        "trigger_name": None,
        "dispatch_id": result.dispatch_id,
        "action_correlation_id": result.action_correlation_id,
        "task_id": result.task_id,
        "error_status_code": None,
        "error_type": None,
        "error_message": None,
    }
    first, = routines.list_runs("r")
    assert re.match("run-", first.id), first
    waiting = {"status": "RUNNING", "phase": "queued", "started_at": None, "ended_at": None, "response_id": None}
    fields(first, {**run, **waiting})
    last = first
    while last.phase in ("queued", "dispatching"):
        last, = routines.list_runs("r")
    done = {"status": "FINISHED", "phase": "completed", "started_at": NOW, "ended_at": after(1)}
    fields(last, {**run, **done, "id": first.id, "response_id": result.action_correlation_id})


def reads_of_a_failed_run_why_it_failed():
    world = World("failed")
    world.arm({"agent": AGENT, "fault": 400})
    world.routines.create_or_update("r", triggers=WEEKDAYS, action={**INVOCATIONS, "session_id": "s-1"})
    world.routines.dispatch("r")
    world.until_idle()
    run, = world.routines.list_runs("r")
    action = {"action_type": INVOCATIONS["type"], "session_id": "s-1"}
    error = {"error_status_code": 400, "started_at": NOW, "ended_at": NOW}
    fields(run, {"status": "FAILED", "phase": "failed", **action, **error})
    assert isinstance(run.error_type, str) and "400" in run.error_message, run


def reads_of_a_run_what_fired_it():
    world = World("fired")
    routines = world.routines
    at = after(1_800)
    routines.create_or_update("t", triggers={"once": {"type": "timer", "at": "30m"}}, action=RESPONSES)
    routines.create_or_update("s", triggers=WEEKDAYS, action=RESPONSES)
    routines.create_or_update("e", triggers=CUSTOM, action=RESPONSES)
    world.control("POST", "/routines/e:fire", {"payload": {"issue": {"number": 7}}})
    world.advance("8h")

    timed, = routines.list_runs("t")
    timer = {"trigger_type": "timer", "trigger_name": "once", "attempt_source": "timer_delivery"}
    fields(timed, {"phase": "completed", **timer, "triggered_at": at, "scheduled_fire_at": at, "started_at": at})
    scheduled, = routines.list_runs("s")
    seven = after(7 * 3_600)
    schedule = {"trigger_type": "schedule", "trigger_name": "weekday-morning", "attempt_source": "schedule_delivery"}
    fields(scheduled, {"phase": "completed", **schedule, "triggered_at": seven, "scheduled_fire_at": seven})
    happened, = routines.list_runs("e")
    event = {"trigger_type": "custom", "trigger_name": "hook", "attempt_source": "event_fire"}
    fields(happened, {"phase": "completed", **event, "triggered_at": NOW, "scheduled_fire_at": None})
    same(happened["trigger_event_payload"], {"issue": {"number": 7}})
    if not OLD:
        same(happened.trigger_event_payload, {"issue": {"number": 7}})


def pages_through_three_pages():
    world = World("pages")
    routines = world.routines
    names = ["r1", "r2", "r3", "r4", "r5"]
    for name in names:
        routines.create_or_update(name, triggers=WEEKDAYS, action=RESPONSES)
    for _ in names:
        routines.dispatch("r1")
    world.until_idle()
    ids = [run.id for run in routines.list_runs("r1")]
    same(len(ids), 5)
    same([routine.name for routine in routines.list()], names)

    def pages(found, field):
        return [[getattr(item, field) for item in page] for page in found.by_page()]

    # 2.2.0 goes on until a page has no last_id, which is the empty one after the last.
    end = [[]] if OLD else []
    for order in ("asc", "desc"):
        for values, found, field in (
            (names, routines.list(limit=2, order=order), "name"),
            (ids, routines.list_runs("r1", limit=2, order=order), "id"),
        ):
            a, b, c, d, e = values if order == "asc" else reversed(values)
            same(pages(found, field), [[a, b], [c, d], [e], *end])
    finished = routines.list_runs("r1", limit=2, filter="attributes.status = 'FINISHED'")
    same([run.id for run in finished], ids)


def reading_a_list_to_its_end_moves_no_time():
    world = World("still")
    routines = world.routines
    often = {"w": {"type": "schedule", "cron_expression": "*/5 * * * *", "time_zone": "UTC"}}
    routines.create_or_update("r", triggers=often, action=RESPONSES)
    routines.dispatch("r")
    list(routines.list_runs("r"))
    list(routines.list_runs("r"))
    same(world.control("GET", "/clock")["now"], "2026-06-01T00:00:00.000Z")


def raises_what_was_refused_with_its_status_code_and_parameter():
    routines = World("refused", switches={"dispatch_when_disabled": "refuse"}).routines
    often = {"w": {"type": "schedule", "cron_expression": "*/4 * * * *", "time_zone": "UTC"}}
    error = raised(
        HttpResponseError,
        lambda: routines.create_or_update("r", triggers=often, action=RESPONSES),
        status_code=400,
        reason="Bad Request",
    )
    assert isinstance(error.model, models.ApiErrorResponse), error.model
    fields(error.model.error, {"code": "invalid_request", "param": "triggers.w.cron_expression"})
    assert "*/4 * * * *" in error.model.error.message, error.model
    same((error.error.code, error.error.message), ("invalid_request", error.model.error.message))
    raised(HttpResponseError, lambda: list(routines.list(order="sideways")), status_code=400)

    for ask in (
        lambda: routines.get("none"),
        lambda: routines.enable("none"),
        lambda: routines.disable("none"),
        lambda: routines.dispatch("none"),
        lambda: list(routines.list_runs("none")),
    ):
        error = raised(ResourceNotFoundError, ask, status_code=404, reason="Not Found")
        same(error.error.code, "not_found")
        assert error.error.message.startswith("There is no routine 'none' in project "), error

    routines.create_or_update("r", enabled=False, triggers=WEEKDAYS, action=RESPONSES)
    error = raised(ResourceExistsError, lambda: routines.dispatch("r"), status_code=409)
    same(error.error.code, "routine_disabled")


def raises_401_without_a_token_and_with_one_for_somebody_else():
    world = World("signed-out", switches={"token_audience": "checked"})
    raised(ResourceNotFoundError, lambda: world.routines.get("r"))

    class Credential:
        def __init__(self, token):
            self.token = token

        def get_token(self, *_scopes, **_options):
            return AccessToken(self.token, int(time.time()) + 3_600)

    # {"aud":"https://management.azure.com","sub":"me"}
    for token in ("", "e30.eyJhdWQiOiJodHRwczovL21hbmFnZW1lbnQuYXp1cmUuY29tIiwic3ViIjoibWUifQ."):
        error = raised(
            ClientAuthenticationError,
            lambda: world.client(Credential(token)).get("r"),
            status_code=401,
            reason="Unauthorized",
        )
        same(error.error.code, "Unauthorized")
        assert "audience is incorrect (https://ai.azure.com)" in error.error.message, error


def asks_again_after_429_and_503_as_the_answer_says():
    for status in (429, 503):
        world = World(f"again-{status}")
        fault = {"status": status, "headers": {"Retry-After": "0"}}
        world.arm(
            {"operation": "createOrUpdateRoutine", "times": 2, "fault": fault},
            {"operation": "dispatchRoutineAsync", "times": 2, "fault": fault},
            {"operation": "getRoutine", "times": 4, "fault": fault},
        )
        # It takes a Retry-After of 0 for none, and would wait by itself.
        routines = world.client(retry_backoff_factor=0)
        made = routines.create_or_update("r", triggers=WEEKDAYS, action=RESPONSES)
        fields(made, {"name": "r", "created_at": NOW})
        routines.dispatch("r")
        same(len(list(routines.list_runs("r"))), 1)
        error = raised(HttpResponseError, lambda: routines.get("r"), status_code=status)
        same(error.error.code, "injected_fault")
        same(world.fired(), [2, 2, 4])


def raises_500_and_a_lost_connection_when_it_may_not_ask_again():
    world = World("lost")
    routines = world.client(retry_total=0)
    world.arm(
        {"operation": "getRoutine", "fault": 500},
        {"operation": "listRoutines", "fault": 502},
        {"operation": "enableRoutine", "fault": "disconnect"},
        {"operation": "dispatchRoutineAsync", "fault": "lose_response"},
    )
    routines.create_or_update("r", triggers=WEEKDAYS, action=RESPONSES)
    raised(HttpResponseError, lambda: routines.get("r"), status_code=500)
    raised(HttpResponseError, lambda: list(routines.list()), status_code=502)
    for ask in (lambda: routines.enable("r"), lambda: routines.dispatch("r")):
        try:
            ask()
        except (ServiceRequestError, ServiceResponseError) as error:
            assert "onnection" in str(error), error
        else:
            raise AssertionError("the connection was not lost")
    same(len(list(routines.list_runs("r"))), 1)


def trusts_the_certificate_strictly():
    """What ssl.create_default_context checks from Python 3.13 on."""
    context = ssl.create_default_context(cafile=os.environ["SSL_CERT_FILE"])
    context.verify_flags |= ssl.VERIFY_X509_STRICT | ssl.VERIFY_X509_PARTIAL_CHAIN
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=context))
    for host in ("127.0.0.1", "localhost"):
        with opener.open(f"{SECURE.replace('127.0.0.1', host)}/_emulator/ready") as answer:
            same(answer.status, 200)


def is_in_the_journal_with_tls_our_token_and_its_own_user_agent():
    world = World("journal")
    routines = world.routines
    routines.create_or_update("r", triggers=WEEKDAYS, action=RESPONSES)
    routines.disable("r")
    routines.enable("r")
    routines.dispatch("r")
    routines.delete("r")
    sent = world.sent()
    operations = ["createOrUpdateRoutine", "disableRoutine", "enableRoutine", "dispatchRoutineAsync", "deleteRoutine"]
    same([entry["operation"] for entry in sent], operations)
    for entry in sent:
        same((entry["tls"], entry["principal"], entry["query"]), (True, "foundrite", {"api-version": "v1"}))
        same(entry["headers"]["foundry-features"], "Routines=V1Preview" if OLD else "Routines=V2Preview")
        assert re.fullmatch("[0-9a-f-]{36}", entry["client_request_id"]), entry
    same(sent[0]["body"], {"triggers": WEEKDAYS, "action": RESPONSES})
    same([entry.get("body") for entry in sent[1:]], [None, None, {}, None])


TESTS = [
    is_the_published_package,
    creates_reads_disables_enables_replaces_and_deletes_a_routine,
    sends_the_three_forms_of_a_timer_and_decodes_the_instant,
    sends_the_instant_of_a_timer_model,
    reads_event_triggers_back_as_it_wrote_them,
    reaches_a_routine_whose_name_holds_separators_and_spaces,
    dispatches_and_sees_the_run_end_when_it_asks_again,
    reads_of_a_failed_run_why_it_failed,
    reads_of_a_run_what_fired_it,
    pages_through_three_pages,
    reading_a_list_to_its_end_moves_no_time,
    raises_what_was_refused_with_its_status_code_and_parameter,
    raises_401_without_a_token_and_with_one_for_somebody_else,
    asks_again_after_429_and_503_as_the_answer_says,
    raises_500_and_a_lost_connection_when_it_may_not_ask_again,
    trusts_the_certificate_strictly,
    is_in_the_journal_with_tls_our_token_and_its_own_user_agent,
]

tell(TESTS)
