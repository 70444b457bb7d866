import { describe } from 'vitest';
import {
  chats,
  expectSameReplay,
  json,
  newest,
  rest,
  run,
  speaker,
  thread,
} from './assistant-model.ts';
import {
  expect,
  type Foundry,
  localAgent,
  openFoundry,
  scratchFolder,
  since,
  test,
} from './fixture.ts';

describe('while a model is asked', () => {
  /** A run that waits for its model, which answers when it is let. */
  async function asking(foundry: Foundry) {
    let letGo = () => {};
    const model = await localAgent((response) => {
      letGo = () => json(response, chats({ content: 'Too late.' }));
    });
    const assistant = await speaker(foundry, model.url);
    const at = await thread(foundry, 'Hi.');
    const path = await run(foundry, at, assistant);
    const polled = foundry.inFlight('GET', path);
    const again = polled.then(() => rest(foundry, path));
    again.catch(() => {});
    await model.arrival(1);
    const answer = () => letGo();
    return { at, path, again, model: { ...model, answer }, answer };
  }

  test('a clock that stands still stays at its instant', async ({ foundry }) => {
    const { again, answer, path } = await asking(foundry);
    const [before, status] = [await foundry.now(), (await foundry.get(path)).body.status];
    answer();

    const done = await again;

    expect([since(before), status]).toEqual(['0.5s', 'in_progress']);
    expect(done.status).toBe('completed');
    expect(since(await foundry.now())).toBe('2s');
  });

  test('a run can be cancelled, and waits for nothing more', async ({ foundry }) => {
    const { at, path, again, answer } = await asking(foundry);

    const cancelled = await foundry.post(`${path}/cancel`);
    const done = await again;
    answer();

    expect(cancelled.body.status).toBe('cancelling');
    expect(done.status).toBe('cancelled');
    expect((await newest(foundry, at)).role).toBe('user');
    await expectSameReplay(foundry);
  });

  test('a hand moves the run nowhere but where it says', async ({ foundry }) => {
    const { path, again, answer } = await asking(foundry);
    const step = foundry.control(`/runs/${path.split('/').at(-1)}:step`);

    const refused = await foundry.post(step);
    const { status } = (await foundry.get(path)).body;
    const moved = await foundry.post(step, { to: 'expired' });
    const done = await again;
    answer();

    expect([refused.status, refused.body.error.message]).toEqual([
      409,
      expect.stringContaining('is being asked'),
    ]);
    expect([status, moved.body.status, done.status]).toEqual(['in_progress', 'expired', 'expired']);
    await expectSameReplay(foundry);
  });

  test('its thread can be deleted', async ({ foundry }) => {
    const { at, path, answer } = await asking(foundry);

    await foundry.delete(at);
    answer();
    await foundry.advance('1m');

    expect((await foundry.get(path)).status).toBe(404);
    await expectSameReplay(foundry);
  });

  test('a process may end: the next one asks again', async () => {
    const options = { dataDir: scratchFolder() };
    const before = openFoundry(options);
    const { at, path, model } = await asking(before);
    await before.emulator.close();

    const foundry = openFoundry(options);
    const ended = rest(foundry, path);
    await model.arrival(2);
    model.answer();

    expect(await ended).toMatchObject({ status: 'completed', last_error: null });
    expect((await newest(foundry, at)).content[0].text.value).toBe('Too late.');
    expect(model.heard[1]?.body).toBe(model.heard[0]?.body);
    await expectSameReplay(foundry);
  });
});
