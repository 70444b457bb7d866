import { readFileSync } from 'node:fs';
import { stripVTControlCharacters } from 'node:util';
import { describe, expect, it } from 'vitest';
import { validateXML } from 'xmllint-wasm';
import { rule } from '../contracts/ledger.ts';
import type { Mismatch } from '../scenarios/match.ts';
import type { Attempt, Failure, Played } from '../scenarios/play.ts';
import {
  createReporter,
  REPORTERS,
  type ReportContext,
  type ReporterName,
  type Summary,
} from '../scenarios/report.ts';
import { row, widthOf, widthsFor, wrap } from '../scenarios/report-columns.ts';
import { worldTime } from '../scenarios/report-summary.ts';
import type { FileProblem, Scenario } from '../scenarios/scenario.ts';

const FILE = 'scenarios/delivery/a-503-is-retried-after-one-second.yaml';
const DAY = 86_400_000;
const SPECIAL = 'a <b> & "c" ]]> 👩‍💻\u0000\u001b[31m\ud800\uffff\r\n\t`d`';

function scenario(over: Partial<Scenario> = {}): Scenario {
  return {
    file: FILE,
    name: 'a-503-is-retried-after-one-second',
    title: 'a 503 is retried after one second',
    proves: ['delivery/retries-5xx'],
    now: Date.parse('2026-06-01T06:59:00Z'),
    seed: 'a-503',
    skip: false,
    empty: true,
    profile: undefined,
    switches: {},
    settings: {},
    agents: { digest: { kind: 'hosted' } },
    assistants: {},
    faults: undefined,
    steps: [{ GET: '/routines/daily/runs', 200: {} }],
    placeOf: () => ({ line: 1, column: 1 }),
    ...over,
  };
}

function played(over: Partial<Played> = {}, of: Partial<Scenario> = {}): Played {
  return {
    scenario: scenario(of),
    outcome: 'passed',
    seed: 'a-503',
    attempts: [],
    threadRuns: [],
    stepsPlayed: 1,
    worldMs: 0,
    realMs: 45,
    ...over,
  };
}

function mismatch(where: string, expected: string, actual: string): Mismatch {
  return { pattern: [], where, expected, actual };
}

function attempt(number: number, gave: string, at: string, next: string): Attempt {
  return { routine: 'daily', run: 'run_1', number, gave, at, next };
}

function failed(over: Partial<Failure> = {}, of: Partial<Scenario> = {}): Played {
  const failure: Failure = {
    line: 5,
    column: 13,
    step: 'GET /routines/daily/runs',
    request: { method: 'GET', path: '/routines/daily/runs', body: '{"limit":1}' },
    answer: { status: 200, text: '{"data":[{"phase":"failed"}]}' },
    mismatches: [mismatch('data[0].phase', '"completed"', '"failed"')],
    ...over,
  };
  const attempts = [attempt(1, '503', '+1m', 'retry'), attempt(2, '503', '+1m1s', 'fail')];
  return played({ outcome: 'failed', failure, attempts }, of);
}

function special(): Played {
  return failed(
    { step: SPECIAL, mismatches: [mismatch(SPECIAL, SPECIAL, SPECIAL)] },
    { title: SPECIAL, file: 'scenarios/delivery/special.yaml' },
  );
}

const SKIPPED = played(
  { outcome: 'skipped', reason: 'needs advance' },
  { file: 'scenarios/routines/skipped.yaml', title: 'time goes on' },
);
const STUCK = played(
  { outcome: 'stuck', reason: 'the emulator set a due item aside' },
  { file: 'scenarios/routines/stuck.yaml', title: 'a due item is done' },
);
const BAD: FileProblem[] = [
  { file: 'scenarios/faults/bad.yaml', line: 3, column: 5, message: '"fooo" is not known, 100%' },
  { file: 'scenarios/faults/bad.yaml', line: 9, column: 1, message: SPECIAL },
];

/** All that a reporter writes about these. */
function report(
  name: ReporterName,
  { played = [], bad = [], realMs = 3_210 }: Partial<Summary>,
  over: Partial<ReportContext> = {},
): string {
  let written = '';
  const reporter = createReporter(name, {
    write: (text) => {
      written += text;
    },
    columns: 100,
    color: false,
    again: (one) => `npx foundrite play ${one.scenario.file}`,
    target: 'in-process',
    ...over,
  });
  for (const one of played) reporter.played(one);
  if (bad.length > 0) reporter.bad(bad);
  reporter.end({ played, bad, realMs });
  return written;
}

function breaking(): Pick<ReportContext, 'broken'> {
  const broken = rule('delivery/retries-5xx');
  return broken ? { broken } : {};
}

describe('the pretty reporter', () => {
  it('tells a failure: place, promise, source, request, expected beside actual, attempts, command', () => {
    expect(report('pretty', { played: [failed()] })).toBe(`\
✗ failed  a 503 is retried after one second
  ${FILE}:5:13  GET /routines/daily/runs

  where          expected     actual
  data[0].phase  "completed"  "failed"

  The agent was called (times count from the scenario's start):
  routine  attempt  gave  at     what followed
  daily    1        503   +1m    tried again later
  daily    2        503   +1m1s  the run is failed

  seed      a-503
  request   GET /routines/daily/runs
  body      {"limit":1}
  answer    status 200

  It should prove this promise:
  promise   delivery/retries-5xx
  basis     documented: a public page or specification says it, though another may say otherwise
  says      An answer of 500 to 599 is retried while attempts remain.
  source    Microsoft Learn, "Automate agents with routines (preview)", 2026-06-01 › Downstream call
            outcomes "retryable while attempts remain"

  play it again: npx foundrite play ${FILE}

0 passed, 1 failed · 0 seconds of world time in 3.2 s · in-process
`);
  });

  it('counts what passed in each folder, and sums up in its last line', () => {
    const passed = [
      ...Array.from({ length: 3 }, () => played({ worldMs: 13 * DAY })),
      played({ worldMs: 2 * DAY }, { file: 'scenarios/routines/one.yaml' }),
    ];

    expect(report('pretty', { played: passed })).toBe(`\
✓ delivery  3 passed
✓ routines  1 passed

4 passed · 41 days of world time in 3.2 s · in-process
`);
  });

  it('says why a scenario was skipped, and that a stuck one is a bug', () => {
    const text = report('pretty', { played: [SKIPPED, STUCK] });

    expect(text).toContain(
      '- skipped  time goes on\n  scenarios/routines/skipped.yaml\n\n  why       needs advance\n',
    );
    expect(text).toContain(
      '! stuck  a due item is done\n  scenarios/routines/stuck.yaml\n\n' +
        '  why       the emulator set a due item aside\n' +
        '  This is a bug of the emulator, not a broken promise.\n',
    );
    expect(text).toContain('play it again: npx foundrite play scenarios/routines/stuck.yaml\n');
    expect(text).not.toContain('play it again: npx foundrite play scenarios/routines/skipped.yaml');
    expect(text.trimEnd().split('\n').at(-1)).toMatch(/^0 passed, 1 stuck, 1 skipped · /);
  });

  it('wraps columns, and puts long values below each other', () => {
    const mismatches = [
      mismatch('status', '200', '503'),
      mismatch('data[0].text', `"${'one and two '.repeat(6)}"`, `"${'x'.repeat(60)}"`),
      mismatch('data[0].output', `"${'words that go on '.repeat(30)}"`, `"${'x'.repeat(300)}"`),
    ];
    const text = report('pretty', { played: [failed({ mismatches })] }, { columns: 72 });
    const lines = text.split('\n');

    expect(lines).toContain(`  status        200${' '.repeat(26)}503`);
    expect(lines).toContain(
      '  data[0].text  "one and two one and two     "xxxxxxxxxxxxxxxxxxxxxxxxxx',
    );
    expect(text).toMatch(/\n\n {2}where {5}data\[0\]\.output\n {2}expected {2}"words that go on/);
    expect(text).toMatch(/\n {2}actual {4}"x{59}\n {12}x{60}\n/);
    const told = lines.filter((line) => !/\.yaml|^\S/.test(line));
    expect(told.filter((line) => widthOf(line) > 72)).toEqual([]);
  });

  it('puts values below each other on a narrow terminal', () => {
    expect(report('pretty', { played: [failed()] }, { columns: 10 })).toContain(
      '  where     data[0].phase\n  expected  "completed"\n  actual    "failed"\n',
    );
  });

  it('cuts bodies, values and lists that would fill the screen', () => {
    const attempts = Array.from({ length: 30 }, (_, n) => attempt(n + 1, '503', '+1m', 'retry'));
    const mismatches = Array.from({ length: 25 }, (_, n) => mismatch(`data[${n}]`, '1', '2'));
    const request = { method: 'PUT', path: '/routines/daily', body: 'b'.repeat(5_000) };
    const one = { ...failed({ request, mismatches }), attempts };
    const lines = report('pretty', { played: [one] }).split('\n');

    expect(lines.join('')).toMatch(/b… \(5,000 +characters\)/);
    expect(lines.filter((line) => /^ {2}data\[/.test(line))).toHaveLength(20);
    expect(lines).toContain('  … and 5 more');
    expect(lines).toContain('  … 19 earlier');
    expect(lines.filter((line) => line.startsWith('  daily '))).toHaveLength(11);
    expect(lines.findLast((line) => line.startsWith('  daily '))).toContain(' 30 ');
  });

  it('tells when each thread run came to its statuses, and which faults never struck', () => {
    const statuses = 'queued +0s, in_progress +0.5s, completed +2s';
    const threadRuns = Array.from({ length: 30 }, (_, n) => ({
      id: `run_${n}`,
      thread: 'thread_1',
      statuses,
    }));
    const one = { ...failed(), threadRuns, unstruck: ['faults[1] (hlper)'] };
    const text = report('pretty', { played: [one] });

    expect(text).toContain(`
  The thread runs (times count from the scenario's start):
  run     thread    statuses
  … 19 earlier
  run_19  thread_1  ${statuses}
`);
    expect(text).toContain('\n\n  faults[1] (hlper) never struck\n\n');
  });

  it('colours only where it may', () => {
    const all = { played: [failed(), SKIPPED, STUCK, played()], bad: BAD };
    const coloured = report('pretty', all, { color: true });

    expect(coloured).toContain('\u001b[31m✗ failed\u001b[39m');
    expect(coloured).toContain('\u001b[32m"completed"\u001b[39m');
    expect(stripVTControlCharacters(coloured)).toBe(report('pretty', all));
  });

  it('writes out what a terminal would act on', () => {
    const text = report('pretty', { played: [special()], bad: BAD });

    expect(text).toContain('✗ failed  a <b> & "c" ]]> 👩‍💻\\u0000\\u001b[31m\ud800\uffff `d`\n');
    expect(text.replaceAll('\n', '')).not.toMatch(/[\u0000-\u001f]/);
  });

  it('names the files that are no scenarios with line and column', () => {
    const text = report('pretty', { bad: BAD.slice(0, 1) });

    expect(text).toBe(`\
✗ This file has mistakes; nothing was played:
  scenarios/faults/bad.yaml:3:5
    "fooo" is not known, 100%

0 passed, 1 file is no scenario · 0 seconds of world time in 3.2 s · in-process
`);
  });

  it('says which promise was broken on purpose, and who noticed', () => {
    const text = report('pretty', { played: [failed(), played()] }, breaking());

    expect(text).toContain('  note      delivery/retries-5xx was broken on purpose (--break).\n');
    expect(text).toContain(`\
This promise was broken on purpose (--break):
promise   delivery/retries-5xx
says      An answer of 500 to 599 is retried while attempts remain.
broken    retry_on is 408 429 500 503 timeout connection_failed answer_lost interrupted
Scenarios that prove it: 2, of which 1 failed.
`);
  });

  it('tells world time in the largest unit of which there are two', () => {
    expect([0, 400, 90_000, 121_000, 1.5 * DAY, 400 * DAY, 2_000 * DAY].map(worldTime)).toEqual([
      '0 seconds',
      '0.4 seconds',
      '90 seconds',
      '2 minutes',
      '36 hours',
      '400 days',
      '2,000 days',
    ]);
  });
});

describe('columns', () => {
  it('share the room that narrow ones leave', () => {
    expect(widthsFor([['a', 'b'.repeat(50), 'c'.repeat(50)]], 45)).toEqual([1, 20, 20]);
    expect(widthsFor([['a', 'bbb', 'c'.repeat(50)]], 45)).toEqual([1, 3, 37]);
  });

  it('are as wide as a terminal shows them', () => {
    expect(['abc', '日本', '👩‍💻', 'é'].map(widthOf)).toEqual([3, 4, 2, 1]);
    expect(row(['日本', 'x'], [5, 5])).toEqual(['日本   x']);
  });

  it('break after spaces and commas, or else anywhere but inside a character', () => {
    expect(wrap('{"a":1,"b":2}', 8)).toEqual(['{"a":1,', '"b":2}']);
    expect(wrap('one two three', 8)).toEqual(['one two', 'three']);
    expect(wrap('👩‍💻👩‍💻👩‍💻', 5)).toEqual(['👩‍💻👩‍💻', '👩‍💻']);
  });
});

describe('the junit reporter', () => {
  const schema = readFileSync(new URL('junit.xsd', import.meta.url), 'utf8');
  const check = async (xml: string) =>
    (await validateXML({ xml: { fileName: 'report.xml', contents: xml }, schema })).errors;
  const all = { played: [STUCK, special(), failed(), SKIPPED, played()], bad: BAD };

  it('writes what its schema allows, whatever is played', async () => {
    expect(await check(report('junit', all))).toEqual([]);
    expect(await check(report('junit', all, breaking()))).toEqual([]);
    expect(await check(report('junit', {}))).toEqual([]);
  });

  it('is held to a schema that refuses what is not JUnit', async () => {
    const xml = report('junit', all);

    expect(await check(xml.replace(' tests="3"', ''))).not.toEqual([]);
    expect(await check(xml.replace('<skipped>', '<skipped message="no">'))).not.toEqual([]);
    expect(await check(xml.replace('<system-out>', '<output>'))).not.toEqual([]);
  });

  it('has a suite for each folder, with its counts', () => {
    const xml = report('junit', all);

    expect(xml.match(/<testsuites? .*>/g)).toEqual([
      '<testsuites name="foundrite" tests="6" failures="2" errors="2" time="3.210">',
      '<testsuite name="delivery" tests="3" failures="2" errors="0" skipped="0" time="0.135">',
      '<testsuite name="faults" tests="1" failures="0" errors="1" skipped="0" time="0.000">',
      '<testsuite name="routines" tests="2" failures="0" errors="1" skipped="1" time="0.090">',
    ]);
  });

  it('writes nothing before the end', () => {
    let written = '';
    const write = (text: string) => {
      written += text;
    };
    const context = { write, columns: 100, color: true, again: () => '', target: 'in-process' };
    for (const name of ['junit', 'json'] as const) {
      const reporter = createReporter(name, context);
      reporter.played(failed());
      reporter.bad(BAD);
    }

    expect(written).toBe('');
  });

  it('tells a failure in text, and every attempt in system-out', () => {
    const xml = report('junit', { played: [failed()] }, { color: true, columns: 40 });

    expect(xml).toContain(
      '<testcase name="a 503 is retried after one second" classname="delivery/a-503-is-retried-after-one-second" time="0.045">\n' +
        '<failure type="broken promise" message="data[0].phase: expected &quot;completed&quot;, got &quot;failed&quot;">' +
        '✗ failed  a 503 is retried after one second\n',
    );
    expect(xml).toContain(`<system-out>file: ${FILE}\nproves: delivery/retries-5xx\nseed: a-503\n`);
    expect(xml).toContain('daily    2        503   +1m1s  the run is failed</system-out>');
    expect(xml).not.toContain('\u001b');
  });

  it('lists attempts in system-out however many there are, and when all is well too', () => {
    const attempts = Array.from({ length: 30 }, (_, n) => attempt(n + 1, '503', '+1m', 'retry'));
    const xml = report('junit', { played: [played({ attempts })] });

    expect(xml.match(/^daily .*$/gm)).toHaveLength(30);
  });

  it('escapes what is markup and drops what is no XML', () => {
    const xml = report('junit', { played: [special()], bad: BAD });

    expect(xml).toContain(
      '<testcase name="a &lt;b&gt; &amp; &quot;c&quot; ]]&gt; 👩‍💻\\u0000\\u001b[31m `d`"',
    );
    expect(xml).not.toMatch(
      /[^\n\u{20}-\u{7e}\u{a0}-\u{d7ff}\u{e000}-\u{fffd}\u{10000}-\u{10ffff}]/u,
    );
  });
});

describe('the json reporter', () => {
  it('writes one document with the whole of what was played', () => {
    const one = failed();
    const document = JSON.parse(
      report('json', { played: [STUCK, SKIPPED, one, special(), played()], bad: BAD }),
    ) as { scenarios: unknown[] };
    const { placeOf: _, ...plain } = one.scenario;

    expect(document).toMatchObject({
      target: 'in-process',
      passed: 1,
      failed: 2,
      skipped: 1,
      stuck: 1,
      bad: BAD.slice(0, 1).concat({
        file: 'scenarios/faults/bad.yaml',
        line: 9,
        column: 1,
      } as FileProblem),
    });
    expect(document.scenarios[0]).toEqual({
      ...one,
      scenario: JSON.parse(JSON.stringify(plain)),
      rules: [
        {
          id: 'delivery/retries-5xx',
          basis: 'documented',
          statement: 'An answer of 500 to 599 is retried while attempts remain.',
          source: [
            'Microsoft Learn, "Automate agents with routines (preview)", 2026-06-01 › Downstream call outcomes "retryable while attempts remain"',
          ],
        },
      ],
      again: `npx foundrite play ${FILE}`,
    });
    expect(document.scenarios.map((each) => (each as Played).outcome)).toEqual([
      'failed',
      'passed',
      'failed',
      'skipped',
      'stuck',
    ]);
  });
});

describe('the github reporter', () => {
  const commandsOf = (text: string) => text.split('\n').filter((line) => /^\s*::/.test(line));

  it('marks failures, stuck scenarios and bad files, and tells the pretty story too', () => {
    const all = { played: [played(), failed(), SKIPPED, STUCK], bad: BAD.slice(0, 1) };
    const text = report('github', all);
    const commands = commandsOf(text);

    expect(commands).toEqual([
      `::error file=${FILE},line=5,col=13,title=a 503 is retried after one second::data[0].phase: expected "completed", got "failed"%0Aproves delivery/retries-5xx%0Aplay it again: npx foundrite play ${FILE}`,
      '::error file=scenarios/routines/stuck.yaml,line=1,col=1,title=a due item is done::the emulator set a due item aside%0Aproves delivery/retries-5xx%0Aplay it again: npx foundrite play scenarios/routines/stuck.yaml',
      '::error file=scenarios/faults/bad.yaml,line=1,col=5,title=not a scenario::"fooo" is not known, 100%25',
    ]);
    expect(text.split('\n').filter((line) => !commands.includes(line))).toEqual(
      report('pretty', all).split('\n'),
    );
  });

  it('escapes what would end a property or a command', () => {
    const one = failed(
      { mismatches: [mismatch('a', '50%, or: less', '1\r\n2')] },
      { title: '100%: one, two\nthree' },
    );
    const [command] = commandsOf(report('github', { played: [one] }));

    expect(command).toContain(',title=100%25%3A one%2C two three::');
    expect(command).toContain('::a: expected 50%25, or: less, got 1 2%0Aproves');
  });

  it('marks a line that the file has, by a path from the working directory', () => {
    const file = new URL('junit.xsd', import.meta.url);
    const lines = readFileSync(file, 'utf8').trimEnd().split('\n').length;
    const one = failed({ line: 9_999 }, { file: './test/../test/junit.xsd' });
    const [command] = commandsOf(report('github', { played: [one] }));

    expect(command).toContain(`::error file=test/junit.xsd,line=${lines},col=13,`);
  });

  it('lets no answer give commands', () => {
    const actual = 'x\n::error::no\n  ::set-output name=a::b\n##[add-path]/tmp';
    const text = report('github', {
      played: [failed({ mismatches: [mismatch('a', '1', actual)] })],
    });

    expect(commandsOf(text)).toHaveLength(1);
    expect(text).not.toContain('##[');
  });
});

describe('reporters', () => {
  it('all write something for an empty play', () => {
    for (const name of REPORTERS) expect(report(name, {})).not.toBe('');
  });
});
