/** Refusals of the control API that need something arranged. */
import type { Refusal } from './refusal.ts';
import { ask, SESSION, WORLD } from './world.ts';

const API = `/api/projects/${WORLD}`;
const CONTROL = `/_emulator/projects/${WORLD}`;

const arm = (entry: object) => ({
  method: 'PUT',
  path: `${CONTROL}/faults`,
  body: { faults: [entry] },
});

export const REFUSALS_OF_CONTROL: readonly Refusal[] = [
  {
    rule: 'clock/ends',
    status: 400,
    method: 'POST',
    path: `${CONTROL}/clock:advance`,
    body: { by: '99999999d' },
  },
  {
    rule: 'clock/never-goes-back',
    status: 400,
    method: 'PUT',
    path: `${CONTROL}/clock`,
    body: { now: '2020-01-01T00:00:00Z' },
  },
  {
    rule: 'clock/never-skips-due-work',
    status: 409,
    settings: { instant_turns_max: 10, first_wait: 0, attempts_max: 50 },
    arrange: async (emulator) => {
      await ask(emulator, 'PUT', `${CONTROL}/faults`, { faults: [{ agent: '*', fault: 503 }] });
      await ask(emulator, 'POST', `${API}/routines/daily:dispatch_async`);
    },
    method: 'PUT',
    path: `${CONTROL}/clock`,
    body: { now: '2026-06-02T00:00:00Z' },
  },
  {
    rule: 'clock/stop',
    status: 409,
    arrange: async (emulator) => {
      const { engine } = emulator.project(WORLD);
      const stopping = async () => {
        while (!engine.advancing) await new Promise((resolve) => setImmediate(resolve));
        await ask(emulator, 'POST', `${CONTROL}/clock:stop`);
      };
      void stopping();
    },
    method: 'PUT',
    path: `${CONTROL}/clock`,
    body: { now: '9000-01-01T00:00:00Z' },
  },
  {
    rule: 'clock/one-advance-at-a-time',
    status: 409,
    arrange: async (emulator) => {
      // Long enough to be under way still; ended with the emulator.
      void ask(emulator, 'PUT', `${CONTROL}/clock`, { now: '9000-01-01T00:00:00Z' }).catch(
        () => {},
      );
      while (!emulator.project(WORLD).engine.advancing)
        await new Promise((resolve) => setImmediate(resolve));
    },
    method: 'POST',
    path: `${CONTROL}/clock:advance`,
    body: { by: '1h' },
  },
  {
    rule: 'control/fire-payload-for-events',
    status: 400,
    method: 'POST',
    path: `${CONTROL}/routines/daily:fire`,
    body: { payload: {} },
  },
  {
    rule: 'control/project-name-max-128',
    status: 400,
    method: 'PUT',
    path: `/_emulator/projects/${'x'.repeat(129)}`,
  },
  {
    rule: 'control/projects-max-256',
    status: 409,
    arrange: async (emulator) => {
      for (let count = 1; count < 256; count += 1)
        await ask(emulator, 'PUT', `/_emulator/projects/p${count}`);
    },
    method: 'PUT',
    path: '/_emulator/projects/one-more',
  },
  { rule: 'control/ca', status: 404, options: {}, method: 'GET', path: '/_emulator/ca.pem' },
  {
    rule: 'control/off',
    status: 404,
    options: { control: false },
    method: 'GET',
    path: '/_emulator/projects',
  },
  {
    rule: 'control/token',
    status: 401,
    options: { controlToken: 'secret' },
    method: 'GET',
    path: '/_emulator/projects',
  },
  {
    rule: 'fault/slow-body-bytes',
    status: 400,
    ...arm({ agent: 'a', fault: { kind: 'slow_body', every: '1s', bytes: 0 } }),
  },
  { rule: 'fault/transition-named', status: 400, ...arm({ at: 'transition', of: '', to: 'x' }) },
  {
    rule: 'reply/model-is-text',
    status: 400,
    method: 'PUT',
    path: `${CONTROL}/agents/digest/reply`,
    body: { kind: 'model', url: 'http://x', model: 1 },
  },
  {
    rule: 'journal/cursor-is-a-seq',
    status: 400,
    method: 'GET',
    path: `${CONTROL}/journal?after=x`,
  },
  {
    rule: 'journal/wait-is-a-duration',
    status: 400,
    method: 'GET',
    path: `${CONTROL}/journal?wait=x&kind=none`,
  },
  {
    rule: 'journal/limit-1-to-10000',
    status: 400,
    method: 'GET',
    path: `${CONTROL}/journal?limit=0`,
  },
  {
    rule: 'control/session-is-one',
    status: 400,
    arrange: (emulator) =>
      ask(emulator, 'POST', `${API}/agents/outer/endpoint/sessions`, { agent_session_id: SESSION }),
    method: 'POST',
    path: `${CONTROL}/sessions/${SESSION}/log`,
    body: { message: 'whose?' },
  },
];
