/** Compares what agents have come to: versions, sessions, responses and conversations; and learns what is drawn. */
import { viewAgent, viewResponse, viewSession, viewVersion } from './agent-answers.ts';
import { agentOf } from './agents.ts';
import { API } from './asked.ts';
import type { Compared } from './compared.ts';
import type { Json } from './definition.ts';
import type { Agent, Conversation, Response, Session } from './resources.ts';
import { sessionsOf } from './sessions.ts';
import type { Expected } from './step.ts';

/** What is drawn, and so in no model: but it is there where it belongs, and never changes. */
const DRAWN = ['instance_identity', 'blueprint', 'blueprint_reference', 'agent_guid'];

export function withoutDrawn(body: Json): Json {
  const told = Object.entries(body).filter(([key]) => !DRAWN.includes(key));
  const { versions, ...rest } = Object.fromEntries(told);
  if (versions === undefined) return rest;
  return { ...rest, versions: { latest: withoutDrawn((versions as { latest: Json }).latest) } };
}

export async function compareAgents(both: Compared): Promise<void> {
  const { agents } = both.model.state;
  const told = agents.map(viewAgent);
  if (!both.isNews('the list of agents', told)) return;
  const listed = await both.readAll(`${API}/agents?order=asc`);
  both.same('the list of agents', told, listed.map(withoutDrawn));
  for (const [index, agent] of agents.entries()) compareIdentity(both, agent, listed[index] ?? {});
}

/** contract 7.3: of a hosted agent; its own as long as it is there, and another's never. */
function compareIdentity(both: Compared, agent: Agent, { instance_identity }: Json): void {
  const hosted = agent.versions.at(-1)?.kind === 'hosted';
  both.same(`whether ${agent.name} has an identity`, hosted, instance_identity !== undefined);
  const { principal_id } = (instance_identity ?? {}) as Json;
  if (hosted) both.ids.are(agent.key, { principal_id });
}

export async function compareAgent(both: Compared, name: string): Promise<void> {
  const { state } = both.model;
  const agent = agentOf(state, name);
  if (!agent) return;
  const path = `${API}/agents/${name}`;
  const told = agent.versions.map((version) => viewVersion(agent, version));
  if (both.isNews(`the versions of ${name}`, told)) {
    const versions = await both.readAll(`${path}/versions?order=asc&include_drafts=true`);
    both.same(`the versions of ${name}`, told, versions.map(withoutDrawn));
  }
  if (agent.versions.at(-1)?.kind !== 'hosted') return;
  const sessions = sessionsOf(state, name);
  const views = () => sessions.map((session) => viewSession(state, session));
  const learnt = sessions.every(({ id, version }) => id !== undefined && version !== undefined);
  if (learnt && !both.isNews(`the sessions of ${name}`, views())) return;
  const listed = await both.readAll(`${path}/endpoint/sessions?order=asc`);
  both.same(`how many sessions ${name} has`, sessions.length, listed.length);
  for (const [index, session] of sessions.entries()) learnSession(both, session, listed[index]);
  both.same(`the sessions of ${name}`, views(), listed);
}

/** What an answer says of a session: its id, and which of the versions that have a share it was given. */
export function learnSession(both: Compared, session: Session, body: Json = {}): void {
  const { agent_session_id: id, version_indicator } = body;
  const { agent_version } = (version_indicator ?? {}) as Json;
  if (session.id === undefined && id !== undefined) {
    const other = both.model.state.sessions.find((one) => one.id === id);
    if (other) both.differ('the id of two sessions', other, id);
    session.id = String(id);
  }
  if (session.version !== undefined || agent_version === undefined) return;
  const version = String(agent_version);
  if (!session.among.includes(version))
    both.differ('a version without a share', session.among, version);
  both.count(`drawn of ${session.among.length}`);
  session.version = version;
}

export async function compareResponses(both: Compared): Promise<void> {
  const { state } = both.model;
  const stored = state.responses.filter(({ deleted }) => !deleted);
  if (!both.isNews('the responses', stored)) return;
  const listed = await both.readAll(`${API}/openai/v1/responses?order=asc`);
  both.same('how many responses there are', stored.length, listed.length);
  for (const [index, response] of stored.entries()) {
    const body = listed[index] ?? {};
    learnResponse(both, response, body);
    compareResponse(both, viewResponse(state, response), body, response.text);
  }
}

export function learnResponse(both: Compared, response: Response, body: Json): void {
  if (response.id !== undefined || body.id === undefined) return;
  const other = both.model.state.responses.find(({ id }) => id === body.id);
  if (other) both.differ('the id of two responses', other, body.id);
  response.id = String(body.id);
}

/** Of a response what the model knows of it, and what it says. */
export function compareResponse(
  both: Compared,
  told: Json,
  body: Json,
  text: string | undefined,
): void {
  const known = Object.keys(told).map((key) => [key, body[key] ?? undefined]);
  both.same('the response', told, Object.fromEntries(known));
  if (text !== undefined)
    both.same('what it says', [text], ((body.output ?? []) as Json[]).map(wordsOf));
}

export async function compareConversation(both: Compared, one: Conversation): Promise<void> {
  if (one.id === undefined || one.deleted) return;
  if (!both.isNews(`the items of ${one.id}`, one.items)) return;
  const path = `${API}/openai/v1/conversations/${one.id}/items?order=asc`;
  const listed = await both.readAll(path);
  both.same(
    `the items of ${one.id}`,
    one.items.map(({ shown }) => shown),
    listed.map(viewItem),
  );
  for (const [index, item] of one.items.entries()) item.id = String(listed[index]?.id);
}

export function viewItem(item: Json): Json {
  return { type: item.type, role: item.role, text: wordsOf(item) };
}

function wordsOf({ content }: Json): string {
  if (!Array.isArray(content)) return String(content);
  return content.map(({ text }: Json) => text).join('');
}

/** Takes over what was made, and what the model could not know of it. */
export function learn(both: Compared, { made }: Expected, body: Json, session: unknown): void {
  const { state } = both.model;
  if (made === undefined) return;
  if ('accessedAt' in made) {
    learnSession(both, made, body.version_indicator ? body : { agent_session_id: session });
    return;
  }
  if (!('input' in made)) {
    made.id = String(body.id);
    return;
  }
  learnResponse(both, made, body);
  const own = state.sessions.find(({ key }) => key === made.session);
  const { version } = (body.agent_reference ?? {}) as Json;
  if (own) learnSession(both, own, { ...body, version_indicator: { agent_version: version } });
}
