/**
 * Every block of code that seed 001 prints runs as it is printed, against the emulator that `foundrite exec` starts. The blocks are
 * taken out of ../shared/seeds while the test runs: the page stands there as text, without fences and without indentation.
 */
import { execFile, spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  type Block,
  blocksOf,
  endOfStatement,
  indented,
  type Language,
  readSeed,
} from '../seed-units.ts';
import {
  CLIENTS,
  installJavaScript,
  installPython,
  PYTHON_WITH_ROUTINES,
  pythonOf,
  ROOT,
} from './install.mjs';

const JAVASCRIPT_VERSIONS = ['2.2.0', '2.3.1', '2.6.0', '2.10.0'];
const INSTALL_MS = 300_000;
const RUN_MS = 60_000;
/** Begins a line that says which block prints what follows. */
const MARK = '=== block ';

/** Which block of either language lists the runs. */
const RUNS_BLOCK = 4;

const DATE = String.raw`2026-06-01 00:00:\d\d\+00:00`;
const TIMES = `started=${DATE} ended=${DATE}`;
/** From Python 3.11 on, a member of an enumeration is printed by its own name. */
const member = (value: string) => String.raw`(?:${value}|\w+\.${value.toUpperCase()})`;

/** What each block prints, in the order of the page: a pattern per line, the last one for all that follow. */
const PYTHON_PRINTS: RegExp[][] = [
  [/^Routine created: daily-summary, enabled=True$/],
  [],
  [/^Enabled: False$/, /^Enabled: True$/],
  [/^dispatch_id: disp-\w+$/, /^task_id: task-\w+$/],
  [
    new RegExp(
      `^run-\\w+ phase=${member('completed')} source=${member('queued_dispatch')} ${TIMES}$`,
    ),
    new RegExp(`^run-\\w+ phase=${member('failed')} source=${member('queued_dispatch')} ${TIMES}$`),
    /^ error: \S+ .+400/,
  ],
  [
    /^my-invocations-routine enabled=True triggers=\['daily'\]$/,
    /^daily-summary enabled=True triggers=\['weekday-morning'\]$/,
    /^once-on-release-day enabled=True triggers=\['release-day'\]$/,
    /^\{'name': 'daily-summary', 'description': 'Runs a daily summary agent on weekday mornings\.', 'enabled': True, .*\}$/,
  ],
  [new RegExp(`^Updated at: ${DATE}$`)],
  [/^Routine deleted\.$/],
];

const JAVASCRIPT_PRINTS: RegExp[][] = [
  [/^Routine created: daily-summary, enabled=true$/],
  [],
  [/^Enabled: false$/, /^Enabled: true$/],
  [/^dispatch_id: disp-\w+$/],
  [
    /^run-\w+ phase=completed source=queued_dispatch$/,
    /^run-\w+ phase=failed source=queued_dispatch$/,
    /^ error: \S+ .+400/,
  ],
  [
    /^my-invocations-routine enabled=true$/,
    /^daily-summary enabled=true$/,
    /^once-on-release-day enabled=true$/,
    /^\{$/,
    /^ {2}name: 'daily-summary',$/,
    /^ {2}description: 'Runs a daily summary agent on weekday mornings\.',$/,
    /^ {2}enabled: true,$/,
    /^[ }]/,
  ],
  [/^Updated at: .*20\d\d \d\d:\d\d:\d\d GMT/],
  [/^Routine deleted\.$/],
];

const seed = readSeed('001');
if (seed === undefined)
  process.stderr.write('seed-blocks: skipped, because there is no seed 001 in ../shared/seeds.\n');

describe.skipIf(seed === undefined)('the code of seed 001', () => {
  const page = seed ?? '';
  const blocks = blocksOf(page.split('\n'));
  const printed = (language: Language) => blocks.filter((block) => block.language === language);
  let folder: string;

  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'foundrite-seed-'));
    writeFileSync(join(folder, 'between.mjs'), BETWEEN);
  });
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  const run = (command: string[], env: Record<string, string> = {}) =>
    exec(command, { BETWEEN: join(folder, 'between.mjs'), ...env });

  function place(name: string): string {
    const path = join(folder, name);
    mkdirSync(path);
    return path;
  }

  test('is found whole', () => {
    expect(printed('shell')).toHaveLength(13);
    expect(printed('python')).toHaveLength(PYTHON_PRINTS.length);
    expect(printed('javascript')).toHaveLength(JAVASCRIPT_PRINTS.length);
    for (const call of [/^curl /, /client\.beta\.routines\.\w/, /^(?:print\(|console\.log\()/]) {
      const calls = (lines: string[]) => lines.filter((line) => call.test(line)).length;
      expect(calls(blocks.flatMap((block) => block.lines)), String(call)).toBe(
        calls(page.split('\n')),
      );
    }
  });

  describe('in JavaScript', () => {
    beforeAll(() => installJavaScript(), INSTALL_MS);

    test.each(JAVASCRIPT_VERSIONS)(
      'runs with @azure/ai-projects %s and prints what the page says',
      { timeout: RUN_MS },
      async (version) => {
        const at = place(`javascript-${version}`);
        const scope = join(at, 'node_modules', '@azure');
        mkdirSync(scope, { recursive: true });
        const installed = join(CLIENTS, 'node_modules');
        symlinkSync(
          join(installed, `ai-projects-${version}`),
          join(scope, 'ai-projects'),
          'junction',
        );
        symlinkSync(join(installed, '@azure', 'identity'), join(scope, 'identity'), 'junction');
        const script = join(at, 'blocks.cjs');
        writeFileSync(script, javascript(printed('javascript').map(withDate)));
        expectPrinted(await run([process.execPath, script]), JAVASCRIPT_PRINTS);
      },
    );

    test('has the instant of the timer as a Date, and is unchanged otherwise', () => {
      const changed = printed('javascript').filter((block) => withDate(block) !== text(block));
      expect(changed).toHaveLength(1);
      const written = changed.map((block) =>
        withDate(block).replace(/new Date\(("[^"]+")\)/, '$1'),
      );
      expect(written).toEqual(changed.map(text));
    });
  });

  describe('in Python', () => {
    let missing: string | undefined;
    beforeAll(async () => {
      missing = await installPython();
      if (missing === undefined) return;
      if (process.env.CI === 'true')
        throw new Error(`CI does not skip: ${missing}. Install Python.`);
      process.stderr.write(`seed-blocks: the Python blocks are skipped: ${missing}.\n`);
    }, INSTALL_MS);

    test.for(PYTHON_WITH_ROUTINES)(
      'runs with azure-ai-projects %s and prints what the page says',
      { timeout: RUN_MS },
      async (version, { skip }) => {
        skip(missing !== undefined, missing);
        const at = place(`python-${version}`);
        const runnable = printed('python').map((block) => indented(block).join('\n'));
        writeFileSync(join(at, 'blocks.json'), JSON.stringify(runnable));
        const script = join(at, 'driver.py');
        writeFileSync(script, PYTHON_DRIVER);
        expectPrinted(await run([pythonOf(version), script]), PYTHON_PRINTS);
      },
    );

    test('has whitespace at the beginning of lines again, and is unchanged otherwise', () => {
      for (const block of printed('python')) {
        expect(indented(block).map((line) => line.trimStart())).toEqual(block.lines);
      }
      expect(
        printed('python').filter((block) => indented(block).join('\n') !== text(block)),
      ).toHaveLength(2);
    });
  });

  describe.skipIf(process.env.CI !== 'true' && !(has('bash') && has('curl')))(
    'in the shell',
    () => {
      test('runs with curl and gets what the page says', { timeout: RUN_MS }, async () => {
        const [first = '', alternative = '', ...others] = printed('shell').map(filledIn);
        // Of two alternatives the first one stays.
        const inOrder = [first, alternative, first, ...others];
        const at = place('shell');
        writeFileSync(join(at, 'az'), AZ, { mode: 0o755 });
        writeFileSync(join(at, '.curlrc'), 'write-out = "\\n%{http_code}\\n"\n');
        const between = (what: string) => `"$NODE" "$BETWEEN" ${what}\n`;
        const steps = inOrder.map((block, index) => {
          const settled = block.includes('/runs"') ? between('settle') : '';
          return `${settled}echo '${MARK}${index}'\n${block}\n`;
        });
        const script = join(at, 'blocks.sh');
        writeFileSync(script, `set -eu\n${between('first')}${steps.join('')}`);
        const path = `${at}${delimiter}${process.env.PATH}`;
        const answers = sections(await run(['bash', script], { PATH: path, CURL_HOME: at })).map(
          answered,
        );
        expectAnswers(answers);
      });

      test('has the two placeholders filled in, and is unchanged otherwise', () => {
        const changed = printed('shell').filter((block) => filledIn(block) !== text(block));
        expect(changed).toHaveLength(1);
        const after = changed.flatMap((block) => filledIn(block).split('\n'));
        const differing = changed
          .flatMap((block) => block.lines)
          .filter((line, index) => line !== after[index]);
        expect(differing).toEqual([
          expect.stringMatching(/^PROJECT_ENDPOINT=</),
          expect.stringMatching(/^AGENT_NAME=</),
        ]);
      });
    },
  );

  function expectAnswers(answers: Answered[]): void {
    const routine = (fields: Record<string, unknown>) => ({
      status: 200,
      body: expect.objectContaining({ enabled: true, created_at: ISO, updated_at: ISO, ...fields }),
    });
    const byResponses = { type: 'invoke_agent_responses_api', agent_name: 'demo-agent' };
    const byInvocations = { type: 'invoke_agent_invocations_api', agent_name: 'demo-agent' };
    const weekdays = (hour: number) => ({
      'weekday-morning': {
        type: 'schedule',
        cron_expression: `0 ${hour} * * 1-5`,
        time_zone: 'UTC',
      },
    });
    const daily = {
      name: 'daily-summary',
      description: 'Runs a daily summary agent on weekday mornings.',
      triggers: weekdays(7),
      action: byResponses,
    };
    const once = {
      name: 'once-on-release-day',
      triggers: { 'release-day': { type: 'timer', at: '2026-09-01T09:00:00Z' } },
    };
    const dispatched = { status: 200, body: sampleLike(page, 'dispatch_id') };
    const run = { ...sampleLike(page, 'value').value[0], status: 'FINISHED', phase: 'completed' };
    const { trigger_type: _, ...manual } = { ...run, attempt_source: 'queued_dispatch' };
    const listed = (dispatch: Answered | undefined) =>
      expect.objectContaining({
        ...manual,
        dispatch_id: dispatch?.body.dispatch_id,
        started_at: ISO,
        ended_at: ISO,
      });

    expect(answers).toEqual([
      routine(daily),
      routine({ ...daily, action: byInvocations }),
      routine(daily),
      routine(once),
      routine({ ...daily, enabled: false }),
      routine(daily),
      dispatched,
      dispatched,
      dispatched,
      {
        status: 200,
        body: expect.objectContaining({ value: [listed(answers[6]), listed(answers[8])] }),
      },
      {
        status: 200,
        body: expect.objectContaining({
          value: [
            expect.objectContaining({ name: 'my-invocations-routine', action: byInvocations }),
            expect.objectContaining(daily),
            expect.objectContaining(once),
          ],
        }),
      },
      routine(daily),
      routine({
        ...daily,
        description: 'Updated: runs at 08:00 UTC on weekdays.',
        triggers: weekdays(8),
      }),
      { status: 204, body: undefined },
    ]);
  }
});

/** The body and the status that curl was told to write after it. */
function answered(lines: string[]): Answered {
  const status = Number(lines.at(-1));
  const body = lines.slice(0, -1).join('\n');
  return { status, body: body === '' ? undefined : JSON.parse(body) };
}

const ISO = expect.stringMatching(/^2026-06-01T00:00:\d\dZ$/);

/** An answer that the page prints, its ids and instants replaced by what they look like. */
// biome-ignore lint/suspicious/noExplicitAny: the page says what is in it
function sampleLike(page: string, field: string): any {
  const lines = page.split('\n');
  const start = lines.findIndex(
    (line, index) => line === '{' && lines[index + 1]?.startsWith(`"${field}": `),
  );
  expect(start, `the page prints an answer with ${field}`).toBeGreaterThan(0);
  const end = endOfStatement(lines, start, 'javascript');
  return JSON.parse(lines.slice(start, end).join('\n'), (key, value) => {
    if (typeof value !== 'string') return value;
    if (key === 'id' || key.endsWith('_id')) return expect.any(String);
    return value;
  });
}

function text({ lines }: Block): string {
  return lines.join('\n');
}

/** The page gives the timer of JavaScript a text; every version of the client asks it for its `toISOString`. */
function withDate(block: Block): string {
  return text(block).replace(/^at: ("[^"]+")/m, 'at: new Date($1)');
}

/** The page's two placeholders stand for what `foundrite exec` sets already. */
function filledIn(block: Block): string {
  return text(block)
    .replace(/^PROJECT_ENDPOINT=<[\w-]+>/m, 'PROJECT_ENDPOINT=$PROJECT_ENDPOINT')
    .replace(/^AGENT_NAME=<[\w-]+>/m, 'AGENT_NAME=$AGENT_NAME');
}

/** What happens before and between blocks, in whichever language these are. */
const BETWEEN = `
const [what] = process.argv.slice(2);
const endpoint = process.env.AZURE_AI_PROJECT_ENDPOINT.replace('https:', 'http:');
const emulator = endpoint.replace('/api/projects/', '/_emulator/projects/');
async function send(method, url, body) {
  const headers = { authorization: 'Bearer e30.e30.', 'content-type': 'application/json' };
  const answer = await fetch(url, { method, headers, body: JSON.stringify(body) });
  if (!answer.ok) throw new Error(method + ' ' + url + ': ' + (await answer.text()));
}
if (what === 'first') {
  await send('PUT', endpoint + '/routines/my-invocations-routine', {
    triggers: { daily: { type: 'schedule', cron_expression: '0 9 * * *', time_zone: 'UTC' } },
    action: { type: 'invoke_agent_invocations_api', agent_name: process.env.AGENT_NAME },
  });
}
if (what === 'fail') {
  await send('POST', emulator + '/clock:advance', { until: 'idle' });
  await send('PUT', emulator + '/faults', { faults: [{ agent: process.env.AGENT_NAME, fault: 400 }] });
  await send('POST', endpoint + '/routines/daily-summary:dispatch_async', {});
}
await send('POST', emulator + '/clock:advance', { until: 'idle' });
`;

/** Each block inside its own function; the first hands its client to the others. */
function javascript(blocks: string[]): string {
  const functions = blocks.map((block, index) =>
    index === 0
      ? `async function block0() {\n${block}\nreturn { client, agentName };\n}\n`
      : `async function block${index}({ client, agentName }) {\n${block}\n}\n`,
  );
  return `
const { execFileSync } = require('node:child_process');
${functions.join('\n')}
(async () => {
  let shared;
  for (const [index, block] of [${blocks.map((_, index) => `block${index}`).join(', ')}].entries()) {
    const what = { 0: 'first', ${RUNS_BLOCK}: 'fail' }[index];
    if (what) execFileSync(process.execPath, [process.env.BETWEEN, what], { stdio: 'inherit' });
    console.log('${MARK}' + index);
    shared = (await block(shared)) ?? shared;
  }
})();
`;
}

const PYTHON_DRIVER = `
import json, os, subprocess
with open(os.path.join(os.path.dirname(__file__), "blocks.json"), encoding="utf-8") as file:
    blocks = json.load(file)
names = {}
for index, block in enumerate(blocks):
    what = {0: "first", ${RUNS_BLOCK}: "fail"}.get(index)
    if what:
        subprocess.run([os.environ["NODE"], os.environ["BETWEEN"], what], check=True)
    print("${MARK}" + str(index), flush=True)
    exec(compile(block, "block " + str(index), "exec"), names)
`;

/** As the Azure CLI answers, with a token of the identity endpoint. */
const AZ = `#!/bin/sh
test "$1 $2 $3 $5 $6" = "account get-access-token --resource --query accessToken" || exit 1
curl -q -sS "$IDENTITY_ENDPOINT?resource=$4&api-version=2019-08-01" -H "X-IDENTITY-HEADER: $IDENTITY_HEADER" |
  sed 's/.*"access_token":"\\([^"]*\\)".*/\\1/'
`;

interface Answered {
  status: number;
  // Each block's answer is stated below.
  // biome-ignore lint/suspicious/noExplicitAny: answers are compared, not typed.
  body: any;
}

/** Splits what was printed at the marks. */
function sections(output: string): string[][] {
  const parts = output.split(new RegExp(`^${MARK}\\d+\\r?\\n`, 'm')).slice(1);
  return parts.map((part) => part.split(/\r?\n/).filter((line) => line !== ''));
}

function expectPrinted(output: string, prints: RegExp[][]): void {
  const said = sections(output);
  expect(said, output).toHaveLength(prints.length);
  for (const [index, patterns] of prints.entries()) {
    const lines = said[index] ?? [];
    for (const [row, line] of lines.entries()) {
      expect(line, `block ${index}`).toMatch(
        patterns[Math.min(row, patterns.length - 1)] ?? /^nothing$/,
      );
    }
    expect(lines.length, `block ${index}:\n${lines.join('\n')}`).toBeGreaterThanOrEqual(
      patterns.length,
    );
  }
}

/** `foundrite exec` as it is in this checkout, with a clock that begins where the page does. */
function exec(command: string[], env: Record<string, string> = {}): Promise<string> {
  const args = [
    join(ROOT, 'cli', 'bin.mjs'),
    'exec',
    '--now',
    '2026-06-01T00:00:00Z',
    '--',
    ...command,
  ];
  const options = {
    env: { ...process.env, PYTHONUTF8: '1', NODE: process.execPath, ...env },
    timeout: RUN_MS,
  };
  return new Promise((resolve, reject) => {
    execFile(process.execPath, args, options, (error, stdout, stderr) => {
      if (error) reject(new Error(`${command.join(' ')} failed:\n${stdout}${stderr}`));
      else resolve(stdout);
    });
  });
}

function has(command: string): boolean {
  return spawnSync(command, ['--version'], { stdio: 'ignore' }).status === 0;
}
