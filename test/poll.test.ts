import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterEach, describe, expect, it } from 'vitest';

const BIN = fileURLToPath(new URL('../cli/bin.mjs', import.meta.url));
const CLIENT = import.meta.resolve('@azure/ai-projects');
const IDENTITY = import.meta.resolve('@azure/identity');

/** What a user writes: dispatch, then list runs until the one is done. A cron of every five minutes stands beside it. */
const SCRIPT = `
import { AIProjectClient } from '${CLIENT}';
import { DefaultAzureCredential } from '${IDENTITY}';
const routines = new AIProjectClient(process.env.PROJECT_ENDPOINT, new DefaultAzureCredential()).beta.routines;
const action = { type: 'invoke_agent_responses_api', agent_name: process.env.AGENT_NAME };
const custom = { type: 'custom', provider: 'p', event_name: 'e', parameters: {} };
await routines.createOrUpdate('waited-for', { triggers: { t: custom }, action });
await routines.createOrUpdate('beside', { triggers: { t: { type: 'schedule', cron_expression: '*/5 * * * *', time_zone: 'UTC' } }, action });
const list = async (name) => { const runs = []; for await (const run of routines.listRuns(name)) runs.push(run); return runs; };
const now = async () => (await (await fetch(new URL('/_emulator/projects/local/clock', process.env.IDENTITY_ENDPOINT))).json()).now;

const { dispatch_id } = await routines.dispatch('waited-for', { payload: { type: action.type, input: 'x' } });
const began = performance.now();
let polls = 0;
let run;
do {
  polls += 1;
  run = (await list('waited-for')).find((each) => each.dispatch_id === dispatch_id);
} while (run.phase !== 'completed' && run.phase !== 'failed' && polls < 1000);
const tookMs = performance.now() - began;

const before = await now();
for (let n = 0; n < 50; n += 1) await list('waited-for');
const movedMs = Date.parse(await now()) - Date.parse(before);
const beside = (await list('beside')).length;
console.log(JSON.stringify({ phase: run.phase, waitedMs: run.ended_at - run.triggered_at, polls, tookMs, movedMs, beside }));
`;

let folder: string | undefined;
afterEach(() => {
  if (folder) rmSync(folder, { recursive: true, force: true });
});

describe('a poll loop of an official client', () => {
  it('over nine minutes of queueing ends in well under a second under exec, and no cron runs away', async () => {
    folder = mkdtempSync(join(tmpdir(), 'foundrite-poll-'));
    const script = join(folder, 'poll.mjs');
    writeFileSync(script, SCRIPT);

    const { stdout } = await promisify(execFile)(process.execPath, [
      BIN,
      ...['exec', '--setting', 'queue_delay=9m', '--now', '2026-06-01T00:01:00Z', '--'],
      ...[process.execPath, script],
    ]);

    const seen = JSON.parse(stdout);
    console.log(`nine minutes took ${seen.tookMs.toFixed(0)} ms and ${seen.polls} polls`);
    expect(seen).toMatchObject({ phase: 'completed', waitedMs: 540_000, beside: 2 });
    expect(seen.tookMs).toBeLessThan(1_000);
    // The host's own pace goes on beside the reads, and nothing more.
    expect(seen.movedMs).toBeLessThan(5_000);
  }, 30_000);
});
