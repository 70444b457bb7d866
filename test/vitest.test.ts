import { describe, expect } from 'vitest';
import { HOSTED, test } from '../emulator/vitest.ts';

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

  test('makes an agent as foundrite.yaml has it', async ({ foundry }) => {
    const version = (image: string) => ({ definition: { ...HOSTED, image } });
    const rule = (agent_version: string, traffic_percentage: number) => ({
      type: 'FixedRatio',
      agent_version,
      traffic_percentage,
    });
    const rules = [rule('1', 90), rule('2', 10)];

    const made = await foundry.agent('split', {
      versions: [version('one'), version('two')],
      endpoint: { version_selector: { version_selection_rules: rules } },
      reply: 'echo',
      state: 'disabled',
    });

    expect(made).toMatchObject({ version: '2', definition: { image: 'two' } });
    expect((await foundry.get('/agents/split')).body).toMatchObject({
      state: 'disabled',
      agent_endpoint: { version_selector: { version_selection_rules: rules } },
    });
    expect((await foundry.agent('asked', { kind: 'prompt' })).definition.kind).toBe('prompt');
    expect((await foundry.agent('whole', { kind: 'prompt', model: 'm' })).definition.model).toBe(
      'm',
    );
    await expect(foundry.agent('slip', { versoins: [], reply: 'echo' })).rejects.toThrow(
      'agents.slip.versoins is no key of an agent',
    );
    const patched = await foundry.patch('/agents/split', { agent_endpoint: null });
    expect(patched.body.agent_endpoint.version_selector.version_selection_rules).toHaveLength(1);
  });

  test('makes an assistant as foundrite.yaml has it, and keeps its id', async ({ foundry }) => {
    const made = await foundry.assistant('helper', { instructions: 'Be brief.', reply: 'echo' });
    await foundry.assistant('fixed', { id: 'asst_1' });

    expect(made).toMatchObject({
      name: 'helper',
      model: 'gpt-4.1-mini',
      instructions: 'Be brief.',
    });
    expect(foundry.assistants).toEqual({ helper: made.id, fixed: 'asst_1' });
    expect((await foundry.get('/assistants/asst_1')).body.name).toBe('fixed');
    await expect(foundry.assistant('slip', { modle: 'm' })).rejects.toThrow(
      'assistants.slip.modle is no key of an assistant; it has model, ',
    );
  });

  const named = test.extend({ foundryOptions: { assistants: { helper: {} } } });

  named('knows the ids of the assistants of its options', async ({ foundry }) => {
    const { body } = await foundry.get(`/assistants/${foundry.assistants.helper}`);

    expect(body.name).toBe('helper');
  });

  test('lists the control calls when it is asked for another', async ({ foundry }) => {
    await expect(foundry.call('relaese')).rejects.toThrow(
      /'relaese'\. Near it: release.* Known are: health, /,
    );
  });

  test('refuses a control call that lacks a part of its path, or has what it does not take', async ({
    foundry,
  }) => {
    await expect(foundry.call('step')).rejects.toThrow('step needs run_id.');
    await expect(foundry.call('step', { run_id: 'run_1', to: 'failed' })).rejects.toThrow(
      'step does not take to. It takes run_id, query, body: a field of the body is written in body.',
    );
  });

  test('names the assistant that is meant by its name', async ({ foundry }) => {
    const { id } = await foundry.assistant('clerk');

    await expect(foundry.reply('clerk', { kind: 'echo' })).rejects.toThrow(
      `There is no agent 'clerk'; the assistant of this name is ${id}: set its reply by that id`,
    );
  });

  test('says which gates wait when another is released', async ({ foundry }) => {
    await foundry.agent('digest');
    await foundry.faults({ agent: 'digest', fault: { kind: 'gate', name: 'door' } });
    await foundry.put('/routines/daily', DAILY);
    await foundry.advance('1d');

    expect(await foundry.release('dor')).toEqual({ gate: 'dor', released: 0, waiting: ['door'] });
    expect(await foundry.release('door')).toEqual({ gate: 'door', released: 1 });
  });

  const late = test.extend({ foundryOptions: { now: Date.parse('2030-01-01T00:00:00Z') } });

  late('is made as its options say', async ({ foundry }) => {
    expect(await foundry.now()).toBe('2030-01-01T00:00:00.000Z');
  });
});
