import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, onTestFinished, test } from 'vitest';
import type { Breaking } from '../contracts/ledger.ts';
import { controlBelow, httpTarget, type Sent, type Target } from '../contracts/target.ts';
import { inProcess } from '../emulator/in-process.ts';
import { type Played, play } from '../scenarios/play.ts';
import { parseScenario, readScenario, type Scenario } from '../scenarios/scenario.ts';
import { start } from './started.ts';

const BIN = fileURLToPath(new URL('../cli/bin.mjs', import.meta.url));

const ROUTINE = `{ triggers: { t: { type: schedule, cron_expression: "*/5 * * * *", time_zone: UTC } }, action: { type: invoke_agent_responses_api, agent_name: digest } }`;

/** A scenario of these steps, with an agent `digest`. */
function scenario(steps: string, head = ''): Scenario {
  const text = `scenario: s\nproves: [routine/get]\nagents: { digest: {} }\n${head === '' ? '' : `${head}\n`}steps:\n${steps}`;
  return parseScenario(text, 'x.yaml');
}

function target(): Target {
  const { target: made, close } = inProcess();
  onTestFinished(close);
  return made;
}

/** A target that notes what is sent, and may answer otherwise. */
function heard(sents: Sent[], answer?: (sent: Sent) => Response | undefined): Target {
  const real = target();
  return {
    ...real,
    async send(sent) {
      sents.push(sent);
      return answer?.(sent) ?? real.send(sent);
    },
  };
}

/** What failed, in a line: `line:column where: expected, not actual`. */
function told({ outcome, failure, reason }: Played): string {
  const first = failure?.mismatches[0];
  if (!failure || !first) return `${outcome}${reason === undefined ? '' : `: ${reason}`}`;
  return `${failure.line}:${failure.column} ${first.where}: ${first.expected}, not ${first.actual}`;
}

async function outcomeOf(
  steps: string,
  head = '',
  on = target(),
  breaking: Breaking = {},
): Promise<string> {
  return told(await play(scenario(steps, head), on, { breaking }));
}

const PUT = `  - PUT: /routines/r
    body: ${ROUTINE}
    2xx: {}
`;

describe('a play', () => {
  test('passes, and tells every attempt and how far the clock went', async () => {
    const steps = `${PUT}  - advance: 6m
    fired: [{ routine: r, at: +5m }]
  - GET: /routines/r/runs
    200: { data: [{ id: <string as run>, phase: completed }] }
  - journal: { kind: attempt, run: "{{run}}" }
    equals: [{ status: 503, at: +5m }, { status: 200, at: +5m1s, sent: { agent: digest } }]
`;
    const faulty = scenario(steps, 'faults: [{ agent: digest, attempts: [503, ok] }]');

    const played = await play(faulty, target());

    expect(told(played)).toBe('passed');
    expect(played).toMatchObject({ stepsPlayed: 4, worldMs: 360_000, seed: 'x' });
    expect(played.attempts.map(({ number, gave, at, next }) => [number, gave, at, next])).toEqual([
      [1, '503', '+5m', 'retry'],
      [2, '200', '+5m1s', 'complete'],
    ]);
  });

  test('tells the thread runs of one that failed, and the faults that never struck', async () => {
    const entry = (agent: string) =>
      `{ at: transition, of: thread_run, agent: ${agent}, from: in_progress, to: failed }`;
    const steps = `  - POST: /threads/runs
    body: { assistant_id: "{{helper}}" }
    200: { id: <string as run> }
  - advance: 2s
    stopped: { reason: wall }
`;
    const head = `assistants: { helper: {} }\nfaults: [${entry('helper')}, ${entry('hlper')}]`;

    const played = await play(scenario(steps, head), target());

    expect(played.threadRuns).toEqual([
      {
        id: expect.stringMatching(/^run_/),
        thread: expect.stringMatching(/^thread_/),
        statuses: 'queued +0s, in_progress +0.5s, failed +2s',
      },
    ]);
    expect(played.unstruck).toEqual(['faults[1] (hlper)']);
  });

  test.for<[string, string, string]>([
    ['a status', '  - GET: /routines/r\n    200: {}\n', '6:5 status: 200, not 404 {"error"'],
    [
      'a field',
      `${PUT}  - GET: /routines/r\n    200: { name: r, enabled: false }\n`,
      '9:21 enabled: false, not true',
    ],
    [
      'a firing',
      `${PUT}  - advance: 5m\n    fired: []\n`,
      '9:5 (the whole): no items, not 1 item: [{',
    ],
    [
      'a journal',
      '  - journal: { kind: fire }\n    equals: [{ kind: fire }]\n',
      '6:5 (the whole): 1 item, not no items',
    ],
    [
      'a header',
      '  - GET: /routines\n    200: {}\n    answer_headers: { x-foundrite-now: +1s }\n',
      '7:23 x-foundrite-now: +1s, not "2026-06-01T00:00:00.000Z" (+0s)',
    ],
    ['an advance that is refused', '  - advance: -1m\n', '5:5 status: 2xx, not 400 '],
    [
      'why an advance stopped',
      `${PUT}  - settings: { settings: { fired_max: 1 } }\n  - advance: 1h\n    stopped: { reason: wall }\n`,
      '10:16 reason: "wall", not "fired_max"',
    ],
  ])('fails where %s is not as expected', async ([, steps, said]) => {
    expect((await outcomeOf(steps)).slice(0, said.length)).toBe(said);
  });

  test('makes its assistants first, and knows them by their ids', async () => {
    const assistants = 'assistants: { helper: { instructions: "In {{project}}." }, mute: }';
    const steps = `  - GET: /assistants/{{helper}}
    200: { id: "</^asst_/>", name: helper, instructions: "In play-x.", model: gpt-4.1-mini }
  - GET: /assistants?order=asc
    200: { data: [{ id: "{{helper}}" }, { id: "{{mute}}" }] }
`;
    const bad = 'assistants:\n  mute:\n  helper:\n    tools: [{ type: 7 }]';

    expect(await outcomeOf(steps, assistants)).toBe('passed');
    expect(await outcomeOf(steps, bad)).toMatch(/^7:15 setup: 2xx, not 400 .*tools\[0\]\.type/);
  });

  test('tells a setup that is refused', async () => {
    const bad = parseScenario(
      'scenario: s\nproves: [routine/get]\nsettings: { attempts: 3 }\nsteps:\n  - clock:\n',
      'x.yaml',
    );

    expect(told(await play(bad, target()))).toMatch(/^3:1 setup: 2xx, not 400 .*attempts_max/);
  });

  test('fails when an answer does not keep to openapi.yaml', async () => {
    const on = heard([], (sent) =>
      sent.path.endsWith('/routines')
        ? Response.json(
            { data: [], surprise: 1 },
            { headers: { 'x-foundrite-now': '2026-06-01T00:00:00.000Z' } },
          )
        : undefined,
    );

    expect(await outcomeOf('  - GET: /routines\n    200: { data: [] }\n', '', on)).toMatch(
      /^5:5 openapi.yaml: an answer that keeps to it, not .*next_link/,
    );
  });

  test('is stuck, not failed, when the emulator itself breaks', async () => {
    const on = heard([], (sent) =>
      sent.path.endsWith('/routines')
        ? Response.json({ error: { code: 'bug' } }, { status: 500 })
        : undefined,
    );

    expect(await outcomeOf('  - GET: /routines\n    200: {}\n', '', on)).toMatch(/^6:5 status/);
    expect((await play(scenario('  - GET: /routines\n    200: {}\n'), on)).outcome).toBe('stuck');
  });

  test('sends raw text, parts, headers and instants as they are written', async () => {
    const sents: Sent[] = [];
    const steps = `  - POST: /a%2Fb?x=1
    raw: "{{{x*3}}"
    headers: { Authorization: null, X-When: "{{+1h}}" }
    4xx: {}
  - POST: /files
    multipart: { purpose: assistants, file: { filename: a.txt, content: "hi", type: text/plain } }
    5xx: {}
    4xx: {}
  - GET: https://elsewhere.example/api/projects/p/routines?after=1
    4xx: {}
`;
    await play(scenario(steps), heard(sents));
    const [raw, parts, link] = sents.filter(({ path }) => /a%2Fb|files|projects\/p\//.test(path));

    expect(raw).toMatchObject({ path: '/api/projects/play-x/a%2Fb?x=1', body: '{xxx' });
    expect(raw?.headers).toEqual({
      'content-type': 'application/json',
      'x-when': '2026-06-01T01:00:00.000Z',
    });
    expect(parts?.headers['content-type']).toMatch(/^multipart\/form-data; boundary=/);
    expect(parts?.body).toMatch(
      /name="file"; filename="a.txt"\r\nContent-Type: text\/plain\r\n\r\nhi\r\n/,
    );
    expect(link?.path).toBe('/api/projects/p/routines?after=1');
  });

  test('goes on while a call is held, and expects its answer later', async () => {
    const steps = `  - faults: [{ operation: getRoutine, fault: { kind: gate, name: door } }]
${PUT}  - GET: /routines/r
    as: reader
  - clock:
    200: { waiting: [<object>] }
  - release: door
  - await: reader
    200: { name: r }
`;

    expect(await outcomeOf(steps)).toBe('passed');
  });

  test('asks again until the answer fits, and time goes on in between', async () => {
    const steps = `${PUT}  - GET: /routines/r/runs
    until: { data: [{ phase: completed, id: <string as run> }] }
    within: 10m
    every: 1m
    200: { data: [{ id: "{{run}}" }] }
  - clock:
    200: { now: +5m }
`;

    expect(await outcomeOf(steps)).toBe('passed');
    expect(await outcomeOf(steps.replace('10m', '2m'))).toMatch(
      /^9:5 data: 1 item within 2m, not no items/,
    );
  });

  test('goes on with several steps at once', async () => {
    const branch = (name: string) =>
      `      - [{ PUT: /routines/${name}, body: ${ROUTINE}, 2xx: {} }, { GET: /routines/${name}, 200: { name: ${name} } }]\n`;

    expect(await outcomeOf(`  - parallel:\n${branch('a')}${branch('b')}`)).toBe('passed');
    expect(
      await outcomeOf(`  - parallel:\n${branch('a')}      - { GET: /routines/none, 200: {} }\n`),
    ).toMatch(/^7:32 status/);
  });

  test('may expect that the connection breaks', async () => {
    const steps = `  - faults: [{ operation: listRoutines, times: 1, fault: disconnect }]
  - GET: /routines
    unanswered: true
`;

    expect(await outcomeOf(steps)).toBe('passed');
    expect(await outcomeOf(steps.replace('listRoutines', 'getRoutine'))).toBe(
      '7:5 (the whole): a broken connection, not an answer 200',
    );
    expect(await outcomeOf(steps.replace('unanswered: true', '200: {}'))).toMatch(
      /^6:5 \(the whole\): an answer, not the connection broke/,
    );
  });

  test('takes a request that cannot be sent for no broken connection', async () => {
    const steps = `  - GET: /routines
    headers: { "bad name": a }
    unanswered: true
`;

    expect(await outcomeOf(steps)).toMatch(/^5:5 \(the whole\): a request that can be sent, not /);
  });

  test('tells the status that ends a poll', async () => {
    const steps = `  - GET: /routines/none
    until: { error: {} }
    within: 3s
`;

    expect(await outcomeOf(steps)).toMatch(/^6:5 status: 2xx within 3s, not 404/);
  });

  test('reads the lines of a long advance, and the events of a stream', async () => {
    const frames = `${PUT}  - advance: 10m
    stream: [{ fired: [{ routine: r }] }, <rest>]
`;
    const events =
      ': ping\n\nevent: thread.run.created\ndata: {"id":"r1"}\n\nid: 7\ndata: [DONE]\n\n';
    const on = heard([], (sent) =>
      sent.path.endsWith('/stream')
        ? new Response(events, {
            headers: { 'content-type': 'text/event-stream', 'x-foundrite-body-by': 'test' },
          })
        : undefined,
    );
    const steps = `  - POST: /stream
    body: { stream: true }
    stream: [{ event: thread.run.created, data: { id: <string as id> } }, { event: message, id: "7", data: "[DONE]" }]
`;

    expect(await outcomeOf(frames)).not.toMatch(/^9:/);
    expect(await outcomeOf(steps, '', on)).toBe('passed');
    expect(
      await outcomeOf(steps.replace('thread.run.created,', 'thread.run.failed,'), '', on),
    ).toMatch(/^7:16 \[0\].event: "thread.run.failed", not "thread.run.created"/);
  });

  test('has its projects to itself and leaves none', async () => {
    const on = target();
    const steps = `${PUT}  - GET: /routines
    in: other
    200: { data: [] }
  - PUT: /api/projects/{{project}}-third/routines/r
    body: { triggers: {}, action: {} }
    400: {}
`;

    expect(await outcomeOf(steps, '', on)).toBe('passed');
    expect(await outcomeOf(steps, '', on)).toBe('passed');
    const listed = await on.send(controlBelow().request('projects', {}));
    expect(((await listed.json()) as { projects: unknown[] }).projects).toEqual([]);
  });

  test('makes a project anew that an earlier play has left', async () => {
    const on = target();
    await play(scenario(PUT), on, { keep: true });

    expect(await outcomeOf('  - GET: /routines\n    200: { data: [] }\n', '', on)).toBe('passed');
  });

  test('has one journal for one seed', async () => {
    const story = scenario(`${PUT}  - advance: 5m\n`);
    const journals = [];
    for (const seed of ['a', 'a', 'b'])
      journals.push((await play(story, target(), { seed, journal: true })).journal);

    expect(journals[0]).toMatch(/^[0-9a-f]{64}$/);
    expect(journals[1]).toBe(journals[0]);
    expect(journals[2]).not.toBe(journals[0]);
  });

  test('is skipped, never passed, where a target lacks what it needs', async () => {
    const { control: _, ...live } = target();

    expect(told(await play(scenario('  - advance: 1m\n'), live))).toBe('skipped: needs advance');
  });
});

describe('a promise broken on purpose', () => {
  const reads = `${PUT}  - GET: /routines/r
    200: { name: r, enabled: true }
  - GET: /routines/none
    404: { error: { code: not_found } }
`;

  test.for<[string, Breaking, string]>([
    ['nothing', {}, 'passed'],
    ['another value of a switch', { switches: { put_create_status: '201' } }, 'passed'],
    [
      'a field set',
      { rewrite: [{ operation: 'getRoutine', set: { '/enabled': 'no' } }] },
      '9:21 enabled: true, not "no"',
    ],
    [
      'a field removed',
      { rewrite: [{ operation: ['getRoutine'], remove: ['/name'] }] },
      '9:12 name: "r", not (absent; there are ',
    ],
    [
      'a refusal not made',
      { rewrite: [{ rule: 'routine/unknown-answers-404', status: 200 }] },
      '11:5 status: 404, not 200 {"error',
    ],
    [
      'a whole body',
      { rewrite: [{ path: '/none$', body: { error: { code: 'x' } } }] },
      '11:21 error.code: "not_found", not "x"',
    ],
    [
      'what fits an expectation',
      { rewrite: [{ when: { name: 's' }, set: { '/enabled': false } }] },
      'passed',
    ],
    ['another rule', { rewrite: [{ rule: 'routine/list', status: 200 }] }, 'passed'],
  ])('is noticed where it matters: %s', async ([, breaking, said]) => {
    const outcome = await outcomeOf(reads, '', target(), breaking);

    expect(outcome.slice(0, said.length)).toBe(said);
  });

  test('by a setting decides how every world is made', async () => {
    const steps = `${PUT}  - advance: 5m\n  - advance: idle\n  - GET: /routines/r/runs\n    200: { data: [{ phase: failed }] }\n`;
    const faults =
      'faults: [{ agent: digest, attempts: [503, 503, ok] }]\nsettings: { attempts_max: 3 }';

    expect(await outcomeOf(steps, faults, target(), { settings: { attempts_max: 2 } })).toBe(
      'passed',
    );
    expect(await outcomeOf(steps, faults)).toMatch(/phase: "failed", not "completed"/);
  });
});

test("the newcomer's scenario in docs/ passes", async () => {
  const file = 'docs/newcomer/invoicing-runs-on-the-third-try.yaml';

  expect(told(await play(readScenario(file), target()))).toBe('passed');
});

describe('foundrite play', () => {
  function folder(files: Record<string, string>): string {
    const path = mkdtempSync(join(tmpdir(), 'foundrite-test-'));
    onTestFinished(() => rmSync(path, { recursive: true, force: true }));
    for (const [name, text] of Object.entries(files)) writeFileSync(join(path, name), text);
    return path;
  }

  function run(cwd: string, ...args: string[]) {
    const options = { cwd, encoding: 'utf8' } as const;
    const { status, stdout, stderr } = spawnSync(process.execPath, [BIN, 'play', ...args], options);
    return { status, printed: stdout + stderr };
  }

  const GOOD =
    'scenario: the list is empty\nproves: [routine/list]\nsteps:\n  - GET: /routines\n    200: { data: [] }\n';
  const WRONG = GOOD.replace('[] }', '[1] }').replace('empty', 'full');

  test('ends with 0 when all passed, and says how many', () => {
    const { status, printed } = run(folder({ 'good.yaml': GOOD }), 'good.yaml');

    expect(printed).toMatch(/^1 passed/m);
    expect(status).toBe(0);
  });

  test('ends with 1 when a promise was broken, and the command it prints does the same again', () => {
    const cwd = folder({ 'wrong.yaml': WRONG });
    const { status, printed } = run(cwd, '.', '--seed', 'one two');
    const again = /play it again: npx foundrite play (.*)$/m.exec(printed)?.[1] ?? '';
    const words = (again.match(/'[^']*'|\S+/g) ?? []).map((word) => word.replaceAll("'", ''));

    expect(status).toBe(1);
    expect(printed).toMatch(/wrong\.yaml:5:12/);
    expect(words).toEqual(['wrong.yaml', '--seed', 'one two']);
    expect(run(cwd, ...words).status).toBe(1);
  });

  test('ends with 2 for a file that is no scenario, and plays none', () => {
    const cwd = folder({ 'good.yaml': GOOD, 'bad.yaml': 'scenario: x\n' });
    const { status, printed } = run(cwd, '.');

    expect(status).toBe(2);
    expect(printed).toMatch(/bad\.yaml:1:1/);
    expect(printed).not.toMatch(/1 passed/);
  });

  test.for([
    [['nowhere'], /"nowhere" is not there/],
    [['.', '--grep', 'zebra'], /No scenario fits/],
    [['.', '--reporter', 'xml'], /--reporter is "xml": write one of pretty, junit, json, github/],
    [['.', '--reporter', 'junit=none/out.xml'], /the folder of that file is not there/],
    [['.', '--jobs', '0'], /--jobs is "0"/],
    [['.', '--break', 'no/rule'], /there is no rule "no\/rule"/],
    [['.', '--url', 'localhost'], /--url is "localhost"/],
  ] as const)('ends with 2 for %j', ([args, said]) => {
    const { status, printed } = run(folder({ 'good.yaml': GOOD }), ...args);

    expect(printed).toMatch(said);
    expect(status).toBe(2);
  });

  test('ends with 11 where nothing listens', () => {
    const { status, printed } = run(
      folder({ 'good.yaml': GOOD }),
      '.',
      '--url',
      'http://127.0.0.1:1',
    );

    expect(printed).toMatch(/http:\/\/127\.0\.0\.1:1 cannot be reached/);
    expect(status).toBe(11);
  });

  test('plays by URL over TLS with the journal it has in-process, and ends with 12 without the token', async () => {
    const emulator = await start('--control-token', 'secret');
    onTestFinished(() => emulator.end());
    const url = emulator.url.replace('http:', 'https:');
    const cwd = folder({ 'good.yaml': GOOD });

    expect(run(cwd, '.', '--url', url, '--control-token', 'secret').printed).toMatch(
      /1 passed.*https:/s,
    );
    const refused = run(cwd, '.', '--url', url);
    expect(refused.printed).toMatch(/refuses control calls \(401\)/);
    expect(refused.status).toBe(12);

    const story = scenario(`${PUT}  - advance: 5m\n`);
    const plain = httpTarget(emulator.url, {
      authorization: 'Bearer x',
      control: controlBelow('Bearer secret'),
    });
    onTestFinished(() => plain.close());
    const far = await play(story, plain, { journal: true });
    expect(told(far)).toBe('passed');
    expect(far.journal).toBe((await play(story, target(), { journal: true })).journal);
  });

  test('chooses by text and rule, and lists', () => {
    const cwd = folder({ 'good.yaml': GOOD, 'wrong.yaml': WRONG });

    expect(run(cwd, '.', '--grep', 'EMPTY').status).toBe(0);
    expect(run(cwd, '.', '--rule', 'delivery').printed).toMatch(/No scenario fits/);
    expect(run(cwd, '.', '--rule', 'routine', '--list').printed).toMatch(
      /the list is full\n.*routine\/list\n2 scenarios/,
    );
  });

  test('writes several reports at once', () => {
    const cwd = folder({ 'wrong.yaml': WRONG });
    const { printed } = run(
      cwd,
      '.',
      '--reporter',
      'github',
      '--reporter',
      'junit=out.xml',
      '--reporter',
      'json=out.json',
    );

    expect(printed).toMatch(/^::error file=wrong\.yaml,line=5/m);
    expect(readFileSync(join(cwd, 'out.xml'), 'utf8')).toMatch(/<testsuites? /);
    expect(JSON.parse(readFileSync(join(cwd, 'out.json'), 'utf8'))).toMatchObject({
      passed: 0,
      failed: 1,
    });
  });

  test('breaks a promise on purpose, says which, and the command it prints does so again', () => {
    const cwd = folder({
      'waits.yaml': `scenario: the second attempt comes a second after the first
proves: [delivery/first-wait-is-1s]
agents: { digest: {} }
faults: [{ agent: digest, attempts: [503, ok] }]
steps:
${PUT}  - advance: 6m
  - journal: { kind: attempt }
    equals: [{ at: +5m }, { at: +5m1s }]
`,
    });
    const { status, printed } = run(cwd, '.', '--break', 'delivery/first-wait-is-1s');
    const again = /play it again: npx foundrite play (.*)$/m.exec(printed)?.[1] ?? '';

    expect(run(cwd, '.').status).toBe(0);
    expect(status).toBe(1);
    expect(printed).toMatch(/delivery\/first-wait-is-1s was broken on purpose/);
    expect(printed).toMatch(/\[1\]\.at +\+5m1s +"/);
    expect(again).toBe('waits.yaml --break delivery/first-wait-is-1s');
    expect(run(cwd, ...again.split(' ')).status).toBe(1);
  });

  test('tells of a call whose connection broke', () => {
    const text = `scenario: a call that nobody lets go
proves: [fault/gate-holds-until-released]
faults: [{ operation: listRoutines, fault: { kind: gate, name: door } }]
steps:
  - GET: /routines
    as: held
  - reset:
  - await: held
    200: {}
`;
    const { status, printed } = run(folder({ 'held.yaml': text }), '.');

    expect(printed).toMatch(/held\.yaml:5:5.*\n\n.*where.*\n?.*an answer +the connection broke/s);
    expect(status).toBe(1);
  });

  test('plays again what is written while it watches', async () => {
    const cwd = folder({ 'good.yaml': GOOD });
    const child = spawn(process.execPath, [BIN, 'play', '.', '--watch'], {
      cwd,
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    onTestFinished(() => void child.kill());
    let printed = '';
    const until = async (wanted: RegExp) => {
      while (!wanted.test(printed)) {
        const [chunk] = (await once(child.stdout, 'data')) as [Buffer];
        printed += String(chunk);
      }
    };
    await until(/1 passed[\s\S]*Watching/);
    writeFileSync(join(cwd, 'good.yaml'), WRONG);
    await until(/1 failed/);
    // As many editors save: another file takes its place, more than once.
    for (const text of [GOOD, 'scenario: [']) {
      printed = '';
      writeFileSync(join(cwd, 'good.yaml~'), text);
      renameSync(join(cwd, 'good.yaml~'), join(cwd, 'good.yaml'));
      await until(text === GOOD ? /1 passed/ : /good\.yaml:1/);
    }
  });
});
