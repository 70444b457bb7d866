/** What only the project's own OpenAI routes have: a model that is asked without an agent, and filters by agent. */
import type { SchemaValue } from '../../contracts/openapi.ts';
import { requireConversation, requirePrevious } from '../endpoint.ts';
import { ApiError } from '../errors.ts';
import { frame, responseEvents } from '../events.ts';
import { answerId, type Heard, objectOf } from '../replies.ts';
import { conversationOf, textOf } from '../response.ts';
import { endLine } from '../streaming.ts';
import { keptOf } from '../work/answer.ts';
import { keep, viewKept } from '../work/responses.ts';
import type { World } from '../world.ts';
import type { Answer, CallInput, Input } from './input.ts';

/** Without an agent a model is asked, and the emulator has none: it echoes under the model's name. */
export function answerByProject(
  input: CallInput,
  body: SchemaValue<'ResponseCreate'>,
): Answer | Promise<Answer> {
  const { world } = input.project;
  if (body.model === undefined)
    throw new ApiError({
      status: 400,
      code: 'missing_required_parameter',
      message: "Missing required parameter: 'model'",
      param: 'model',
      rule: 'response/model-or-agent',
    });
  const conversation = conversationOf(body.conversation);
  requireConversation(world, conversation, 'conversation');
  requirePrevious(world, body.previous_response_id ?? undefined);
  return input.begin(() => ({ answer: echo(world, body, conversation) }));
}

function echo(
  world: World,
  body: SchemaValue<'ResponseCreate'>,
  conversation: string | undefined,
): Answer {
  const requestId = `of the project ${world.ordinal('call of the project')}`;
  const heard: Heard = {
    agent: null,
    version: null,
    protocol: 'responses',
    body,
    answerId: answerId(world.draw, 'responses', false, requestId),
    sessionId: undefined,
    conversation,
    at: world.now,
  };
  const said = { text: textOf(body.input) };
  const call = { protocol: 'responses' as const, body: JSON.stringify(body) };
  const kept = keptOf({ call, heard, reached: { agent: { key: null } } }, { said }, true);
  if (kept) keep(world, kept);
  if (body.stream !== true)
    return {
      status: 200,
      body: viewKept(world, kept) ?? objectOf(world.draw, heard, said, world.now),
    };
  const events = [...responseEvents(objectOf(world.draw, heard, said, world.now))];
  return {
    status: 200,
    text: events.map(frame).join('') + endLine(world),
    headers: { 'content-type': 'text/event-stream' },
  };
}

/** `agent_name`, and `agent_id`, which is a name and a version. */
export function agentFilter({ query }: Input): {
  agent: string | undefined;
  version: string | undefined;
} {
  const id = query.get('agent_id') || undefined;
  const [name, version] = id?.split(':') ?? [];
  return { agent: name ?? (query.get('agent_name') || undefined), version };
}
