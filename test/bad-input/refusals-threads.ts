/** Refusals of threads and their runs that need something arranged. */
import type { Refusal } from './refusal.ts';
import { ask, WORLD } from './world.ts';

const API = `/api/projects/${WORLD}`;
const CONTROL = `/_emulator/projects/${WORLD}`;

const say = {
  method: 'POST',
  path: `${API}/threads/{thread}/messages`,
  body: { role: 'user', content: 'Good morning.' },
};
const step = (run: string, to: string) => ({
  method: 'POST',
  path: `${CONTROL}/runs/${run}:step`,
  body: { to },
});

export const REFUSALS_OF_THREADS: readonly Refusal[] = [
  { rule: 'message/text-max', status: 400, settings: { message_text_max: 12 }, ...say },
  { rule: 'thread/messages-max', status: 400, settings: { thread_messages_max: 3 }, ...say },
  {
    rule: 'request/bearer-token',
    status: 401,
    switches: { unauthorized_body: 'flat' },
    ...say,
    headers: { authorization: '', 'api-key': 'x' },
  },
  {
    rule: 'thread-run/after-queued',
    status: 409,
    arrange: (emulator, { asking }) =>
      ask(emulator, 'POST', `${CONTROL}/runs/${asking}:step`, { to: 'queued' }),
    ...step('{asking}', 'completed'),
  },
  {
    rule: 'thread-run/after-cancelling',
    status: 409,
    arrange: (emulator, { busy, going }) =>
      ask(emulator, 'POST', `${API}/threads/${busy}/runs/${going}/cancel`),
    ...step('{going}', 'in_progress'),
  },
];
