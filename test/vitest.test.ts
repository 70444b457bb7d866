import { describe, expect } from 'vitest';
import { test } from '../emulator/vitest.ts';

const DAILY = {
  triggers: { morning: { type: 'schedule', cron_expression: '0 7 * * *', time_zone: 'UTC' } },
  action: { type: 'invoke_agent_responses_api', agent_name: 'digest' },
};

describe('the fixture for vitest', () => {
  test('hands over a project with its own clock and faults', async ({ foundry }) => {
    await foundry.agent('digest');
    await foundry.faults({ agent: 'digest', attempts: [503, 'ok'] });
    await foundry.put('/routines/daily', DAILY);

    const { fired } = await foundry.advance('1d');

    expect(fired).toMatchObject([{ routine: 'daily', at: '2026-06-01T07:00:00.000Z' }]);
    const runs = await foundry.get('/routines/daily/runs');
    expect(runs.body.data).toMatchObject([{ phase: 'completed' }]);
    expect(await foundry.journal({ kind: 'attempt' })).toMatchObject([
      { status: 503, at: '2026-06-01T07:00:00.000Z' },
      { status: 200, at: '2026-06-01T07:00:01.000Z' },
    ]);
  });

  test('begins anew for each test', async ({ foundry }) => {
    expect(await foundry.now()).toBe('2026-06-01T00:00:00.000Z');
    expect((await foundry.get('/routines')).body.data).toEqual([]);
    expect((await foundry.call('plan')).faults).toEqual([]);
  });

  test('answers a client that is handed its fetch', async ({ foundry }) => {
    const answer = await foundry.fetch(`${foundry.endpoint}/routines`, {
      headers: { authorization: 'Bearer any' },
    });

    expect(await answer.json()).toMatchObject({ data: [], has_more: false });
  });

  test('says which call a target refused', async ({ foundry }) => {
    await expect(foundry.release('')).rejects.toThrow(/gates\/:release was answered 4\d\d/);
    await expect(foundry.advance('soon')).rejects.toThrow(/400: .*soon.* is no duration/);
  });

  const late = test.extend({ foundryOptions: { now: Date.parse('2030-01-01T00:00:00Z') } });

  late('is made as its options say', async ({ foundry }) => {
    expect(await foundry.now()).toBe('2030-01-01T00:00:00.000Z');
  });
});
