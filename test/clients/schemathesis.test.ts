/**
 * Schemathesis, which knows nothing of us but openapi.yaml, finds nothing between the description and the emulator: right
 * and wrong requests of every operation, with all its checks. FOUNDRITE_SCHEMATHESIS_EXAMPLES says how many per operation
 * are made up beside those that are enumerated, FOUNDRITE_SCHEMATHESIS_SEED which.
 */
import { spawn } from 'node:child_process';
import { expect, onTestFinished, test } from 'vitest';
import { buildThreads, type KnownThreads } from '../bad-input/world-threads.ts';
import { scratchFolder } from '../fixture.ts';
import { start } from '../started.ts';
import { CLIENTS, pythonOf, SCHEMATHESIS } from './install.mjs';

const missing = process.env.FOUNDRITE_CLIENTS_NO_PYTHON;
const examples = process.env.FOUNDRITE_SCHEMATHESIS_EXAMPLES ?? '4';
const seed = process.env.FOUNDRITE_SCHEMATHESIS_SEED ?? '1';
const PHASES = ['examples', 'coverage', 'fuzzing', 'stateful'];
/** A made-up request takes about 10 ms, and there are 119 operations. */
const ENDS_AFTER_MS = 300_000 + Number(examples) * 10_000;

test.skipIf(missing !== undefined)(
  'Schemathesis finds nothing',
  async () => {
    // One token for both doors: the service looks at its audience, control at all of it.
    const part = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url');
    const token = `${part({ alg: 'none' })}.${part({ aud: 'https://ai.azure.com' })}.`;
    const emulator = await start(
      ...['--control-token', token],
      // What openapi.yaml says of tokens and limits holds word for word with these.
      ...['--switch', 'token_audience=checked', '--switch', 'limit_out_of_range=refuse'],
      // An advance may be asked to go on for 27,000 years.
      ...['--setting', 'wall_max=1s'],
      // A log is followed until it ends by itself.
      ...['--setting', 'log_max=50ms', '--setting', 'log_keep_alive=20ms'],
      // The same of a run that is streamed.
      ...['--setting', 'run_queue_time=5ms', '--setting', 'run_time=20ms'],
    );
    onTestFinished(() => emulator.end());
    let said = '';
    emulator.child.stderr?.on('data', (chunk) => {
      said += String(chunk);
    });

    // Nobody but the service names threads, runs and what belongs to them.
    const known = await threadsOf(emulator.url, token);
    const { code, printed } = await schemathesis(
      known,
      ...['run', '../../openapi.yaml', '--url', emulator.url],
      ...['--header', `Authorization: Bearer ${token}`],
      ...['--checks', 'all', '--phases', PHASES.join(',')],
      ...['--max-examples', examples, '--seed', seed, '--continue-on-failure'],
    );

    expect(code, printed).toBe(0);
    expect(printed).toMatch(/Tested: (\d+)\n/);
    for (const phase of ['Examples', 'Coverage', 'Fuzzing', 'Stateful'])
      expect(printed).toContain(`✅ ${phase}`);
    const generated = Number(/(\d+) generated, \1 passed/.exec(printed)?.[1]);
    expect(generated, printed).toBeGreaterThan(4_000);
    expect(said).not.toContain('bug');
  },
  ENDS_AFTER_MS,
);

/** Threads of the first project with runs that have ended, wait, and go on. */
async function threadsOf(url: string, token: string): Promise<KnownThreads> {
  const must = async (method: string, path: string, body?: unknown) => {
    const answer = await fetch(url + path, {
      method,
      headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    expect(answer.ok, `${method} ${path} was answered ${answer.status}`).toBe(true);
    return await answer.json();
  };
  const [api, control] = ['/api/projects/local', '/_emulator/projects/local'];
  await must('PUT', `${control}/clock`, { rate: 0 });
  const known = await buildThreads(must, { api, control });
  await must('PUT', `${control}/clock`, { rate: 1 });
  return known;
}

function schemathesis(
  known: KnownThreads,
  ...args: string[]
): Promise<{ code: number | null; printed: string }> {
  const main = ['-m', 'schemathesis.cli', '--config-file', 'schemathesis.toml'];
  const child = spawn(pythonOf(SCHEMATHESIS), [...main, ...args], {
    cwd: CLIENTS,
    env: {
      ...process.env,
      FOUNDRITE_SCHEMATHESIS_KNOWN: JSON.stringify(known),
      PYTHONUTF8: '1',
      PYTHONDONTWRITEBYTECODE: '1',
      NO_COLOR: '1',
      HYPOTHESIS_STORAGE_DIRECTORY: scratchFolder(),
    },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let printed = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (chunk: string) => {
      printed += chunk;
    });
  }
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code) => resolve({ code, printed }));
  });
}
