/** What emulated agents and assistants say, set by control or by a configuration. */
import type { SchemaValue } from '../../contracts/openapi.ts';
import { invalid, notFound, shown } from '../errors.ts';
import type { Project } from '../projects.ts';
import { withoutSecrets } from '../replies.ts';
import { findAgent } from '../store/agents.ts';
import { assistantsNamed, findAssistant } from '../store/assistants.ts';
import { writeReply } from '../store/faults.ts';
import type { Store } from '../store/store.ts';
import { readDuration } from './clock.ts';
import { type Controlled, controlTurn, projectOf } from './controlled.ts';
import { type Answer, bodyAs } from './input.ts';
import { readAgentName } from './versions.ts';

type AnyReply = SchemaValue<'Reply'> | SchemaValue<'AssistantReply'>;

export function setReply(call: Controlled): Answer {
  const project = projectOf(call);
  const { store } = project.world;
  const of = call.params.agent_name ?? '';
  if (isAssistant(of) && !findAssistant(store, of))
    throw notFound(
      `No assistant found with id '${of}'. Make one with POST …/assistants.`,
      'reply/assistant-is-there',
      'agent_name',
    );
  const exists = isAssistant(of) || findAgent(store, of) !== undefined;
  if (!exists) requireNoAssistant(store, of);
  if (!isAssistant(of)) readAgentName(of);
  const reply = readReplyOf(of, call.body);
  requireVariable(project, reply);
  // Replay never calls out: it does without what is not written down.
  const told = { ...call, body: withoutSecrets(call.body) };
  controlTurn(told, project, 'setAgentReply', () => writeReply(store, of, reply));
  return { status: 200, body: { agent: of, agent_exists: exists, reply: withoutKey(reply) } };
}

/** Assistants have their ids where agents have their names, which hold no underscore. */
function isAssistant(of: string): boolean {
  return of.startsWith('asst_');
}

/** A reply may be set before its agent is made, but not for the assistant that is meant by this name. */
function requireNoAssistant(store: Store, name: string): void {
  const [meant, other] = assistantsNamed(store, name, 2);
  if (meant === undefined || other !== undefined) return;
  throw notFound(
    `There is no agent '${name}'; the assistant of this name is ${meant.id}: set its reply by that id ({{${name}}} in a scenario).`,
    'reply/assistant-is-there',
    'agent_name',
  );
}

function requireVariable({ context }: Project, reply: AnyReply): void {
  const name = reply.kind === 'model' ? reply.api_key_env : undefined;
  if (name === undefined || context.outside.hasVariable?.(name) !== false) return;
  throw invalid(
    `api_key_env names the variable ${name}, which is not set where the emulator runs. Set it and start the emulator again.`,
    'api_key_env',
    'reply/model-key-one-way',
  );
}

/** A key is shown to nobody, not even to whom it came from. */
function withoutKey(reply: AnyReply): unknown {
  return 'api_key' in reply ? withoutSecrets(reply) : reply;
}

/** A reply that may be set for an agent or an assistant, by its name or id, or the refusal that names its field. */
export function readReplyOf(of: string, written: unknown): AnyReply {
  const reply = isAssistant(of) ? readAssistantReply(written) : readReply(written);
  if ('url' in reply && !URL.canParse(reply.url))
    throw invalid(
      `url is ${shown(reply.url)}, which is no address. Write one such as http://127.0.0.1:8088.`,
      'url',
      'reply/url-is-http',
    );
  if ('url' in reply) requireBase(reply.url);
  if (reply.kind === 'model' && reply.api_key !== undefined && reply.api_key_env !== undefined)
    throw invalid(
      'A model has one key. Write api_key or api_key_env, not both.',
      'api_key_env',
      'reply/model-key-one-way',
    );
  return reply;
}

function readReply(written: unknown): SchemaValue<'Reply'> {
  const reply = bodyAs('Reply', written);
  for (const [index, turn] of (reply.kind === 'script' ? reply.turns : []).entries()) {
    const at = `turns[${index}]`;
    if ('accepted' in turn)
      readDuration(turn.accepted.after, `${at}.accepted.after`, 'reply/turn-known');
    if ('every' in turn) readDuration(turn.every, `${at}.every`, 'reply/turn-known');
  }
  return reply;
}

function readAssistantReply(written: unknown): SchemaValue<'AssistantReply'> {
  if ((written as { kind?: unknown } | null | undefined)?.kind === 'forward')
    throw invalid(
      'kind cannot be "forward": an assistant runs in the service and is called by nobody. Use "model" with the address of one that speaks chat or responses, or "script".',
      'kind',
      'reply/assistant-kind-known',
    );
  const reply = bodyAs('AssistantReply', written);
  if (reply.kind === 'script')
    for (const [index, turn] of reply.turns.entries()) requireDurations(turn, `turns[${index}]`);
  return reply;
}

function requireDurations(turn: SchemaValue<'RunTurn'>, at: string): void {
  if ('takes' in turn) readDuration(turn.takes, `${at}.takes`, 'reply/run-turn-known');
  if ('every' in turn) readDuration(turn.every, `${at}.every`, 'reply/run-turn-known');
  if ('tool_calls' in turn && turn.next) requireDurations(turn.next, `${at}.next`);
}

const OPERATION_AT_END = /\/(?:responses|invocations|chat\/completions)\/*$/;

/** The path of an operation is added to a reply's address, whichever is called. */
function requireBase(url: string): void {
  const { origin, pathname } = new URL(url);
  const base = pathname.replace(OPERATION_AT_END, '');
  if (base === pathname) return;
  throw invalid(
    `url ends with ${pathname.slice(base.length)}, which is added to it for each call. Write ${origin}${base}.`,
    'url',
    'reply/url-is-http',
  );
}
