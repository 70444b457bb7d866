import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { CONTROL_CALLS } from '../contracts/control.ts';
import { BadScenario, parseScenario } from '../scenarios/scenario.ts';
import { ownScenarios } from './broken-plays.ts';

const GOOD = `scenario: a routine is read
proves: [routine/get]
steps:
  - GET: /routines
    200: { data: [] }
`;

/** What is wrong with a file, as it is printed. */
function problems(text: string, file = 'x.yaml'): string[] {
  try {
    parseScenario(text, file);
    return [];
  } catch (error) {
    if (!(error instanceof BadScenario)) throw error;
    return error.message.split('\n');
  }
}

function steps(...lines: string[]): string {
  return `scenario: s\nproves: [routine/get]\nsteps:\n${lines.map((line) => `  ${line}`).join('\n')}\n`;
}

describe('a scenario file', () => {
  it('is read with its defaults', () => {
    expect(parseScenario(GOOD, 'a/reads.yaml')).toMatchObject({
      name: 'reads',
      title: 'a routine is read',
      proves: ['routine/get'],
      now: Date.parse('2026-06-01T00:00:00Z'),
      seed: 'reads',
      skip: false,
      agents: {},
    });
  });

  it.each([
    ['a key written twice', `${GOOD}scenario: again\n`, 'x.yaml:6:1 Map keys must be unique'],
    [
      'an alias without its anchor',
      `${GOOD}seed: *text\n`,
      /^x.yaml:\d+:\d+ Unresolved alias.*text/,
    ],
    [
      'a date that is none',
      GOOD.replace('steps:', 'now: 2026-02-31T25:00:00Z\nsteps:'),
      /^x.yaml:3:1 "2026-02-31T25:00:00Z" is no instant/,
    ],
    [
      'an alias that contains itself',
      steps('- POST: /a', '  body: &x { a: *x }', '  200: {}'),
      /^x.yaml:/,
    ],
    [
      'a bound that is no duration',
      steps('- GET: /a', '  until: {}', '  within: banana'),
      'x.yaml:6:5 "banana" is no duration above zero; write 90s, 2m or 1h30m',
    ],
    [
      'a poll that never rests',
      steps('- GET: /a', '  until: {}', '  every: 0s'),
      'x.yaml:6:5 "0s" is no duration above zero; write 90s, 2m or 1h30m',
    ],
    [
      'a field named by what was not captured',
      steps('- GET: /a', '  200: { "{{nope}}": 1 }'),
      'x.yaml:5:12 {{nope}} was not captured before',
    ],
    [
      'an agent with a slip',
      `${GOOD}agents:\n  a: { kind: hosted, versions: [{}] }\n`,
      'x.yaml:7:22 agents.a.versions says what kind says; leave out the one or the other.',
    ],
    [
      'an assistant with a slip',
      `${GOOD}assistants:\n  a: { modle: m }\n`,
      'x.yaml:7:8 "modle" is not known here; did you mean model?',
    ],
    [
      'an assistant with an id, which the API cannot be told',
      `${GOOD}assistants:\n  a: { id: asst_1 }\n`,
      /^x.yaml:7:8 "id" is not known here; there are: name, description, model, /,
    ],
    [
      'an assistant by whose name no slot can call',
      `${GOOD}assistants:\n  the-clerk: {}\n`,
      /^x.yaml:7:3 \{\{the-clerk\}\} would be the id of this assistant, and is no slot; /,
    ],
    ['no steps', 'scenario: s\nproves: [routine/get]\n', 'x.yaml:1:1 the scenario lacks "steps"'],
    [
      'an unknown key',
      `${GOOD}provs: []\n`,
      /^x.yaml:6:1 "provs" is not known here; did you mean proves/,
    ],
    [
      'a rule that is not there',
      GOOD.replace('routine/get', 'routine/got'),
      /^x.yaml:2:10 there is no rule "routine\/got"; did you mean routine\/get\b.*\? foundrite ledger lists them$/,
    ],
    [
      'a rule that is like none',
      GOOD.replace('routine/get', 'x/y'),
      'x.yaml:2:10 there is no rule "x/y"; foundrite ledger lists them',
    ],
    [
      'a control word that does not name what it is about',
      steps('- reply: { assistant: a, kind: echo }'),
      'x.yaml:4:5 "reply" needs "agent", and has assistant, kind',
    ],
    [
      'a control word whose field has no name in it',
      steps('- step: { run: null, id: run_1 }'),
      'x.yaml:4:5 "step" needs "run", and has id',
    ],
    [
      'a control word among steps that go on at once',
      steps('- parallel: [{ clock: null }, { fire: {} }]'),
      'x.yaml:4:35 "fire" needs "routine"',
    ],
    [
      'a value of the wrong type',
      GOOD.replace('steps:\n', 'skip: often\nsteps:\n'),
      'x.yaml:3:1 "skip" must be boolean, and is "often"',
    ],
    [
      'an instant without an offset',
      GOOD.replace('steps:', 'now: 2026-06-01T00:00:00\nsteps:'),
      /^x.yaml:3:1 "2026-06-01T00:00:00" is no instant/,
    ],
    [
      'a step without a word',
      steps('- body: 1'),
      /^x.yaml:4:5 a step says what is done by one word, and expects under a status such as 200; there are: GET/,
    ],
    [
      'a step with two words',
      steps('- GET: /a', '  advance: 1m', '  200: {}'),
      'x.yaml:4:5 a step does one thing; this one does GET and advance',
    ],
    [
      'an unknown modifier',
      steps('- GET: /a', '  200: {}', '  query: {}'),
      /^x.yaml:6:5 "query" is not known here/,
    ],
    [
      'a modifier of another word',
      steps('- GET: /a', '  200: {}', '  fired: []'),
      'x.yaml:6:5 "GET" does not take "fired"',
    ],
    [
      'a request without a status',
      steps('- GET: /a'),
      /^x.yaml:4:5 the status that GET is expected to answer is missing/,
    ],
    [
      'a marker that is none',
      steps('- GET: /a', '  200: { data: [{ id: <strin> }] }'),
      /^x.yaml:5:21 <strin> is no marker/,
    ],
    [
      'a capture that nothing makes',
      steps('- GET: "/a/{{run}}"', '  200: {}'),
      'x.yaml:4:5 {{run}} was not captured before',
    ],
    [
      'a capture that comes later',
      steps('- GET: "/a/{{run}}"', '  200: { id: <string as run> }'),
      'x.yaml:4:5 {{run}} was not captured before',
    ],
    [
      'a call that is never awaited',
      steps('- GET: /a', '  as: one'),
      'x.yaml:5:5 "one" is sent and never awaited',
    ],
    [
      'an answer that was never asked',
      steps('- await: one', '  200: {}'),
      'x.yaml:4:5 nothing was sent as "one"',
    ],
    [
      'an expectation of what is not awaited',
      steps('- GET: /a', '  as: one', '  200: {}', '- await: one', '  200: {}'),
      'x.yaml:6:5 what is sent with "as" is expected where it is awaited',
    ],
    [
      'a path that is none',
      steps('- GET: routines', '  200: {}'),
      /^x.yaml:4:5 "steps.0.GET" is "routines"; it must match/,
    ],
  ])('is refused with the place: %s', (_, text, said) => {
    expect(problems(text)).toEqual([typeof said === 'string' ? said : expect.stringMatching(said)]);
  });

  it('lists all that is wrong at once', () => {
    const text = steps('- GET: /a', '  200: <strin>', '- GET: "/{{b}}"', '  200: {}');

    expect(problems(text)).toHaveLength(2);
  });

  it('has a name of small letters, digits and hyphens', () => {
    expect(problems(GOOD, 'My_File.yaml')[0]).toMatch(
      /the file is named "My_File.yaml"; use small letters/,
    );
  });

  it('may use in an expectation what the same expectation has captured before', () => {
    expect(problems(steps('- GET: /a', '  200: { a: <string as id>, b: "{{id}}" }'))).toEqual([]);
  });
});

describe('the schema for editors', () => {
  const schema = JSON.parse(readFileSync('scenarios/scenario.schema.json', 'utf8'));

  it('knows every control call as a word', () => {
    const words = schema.$defs.step.oneOf.map(
      ({ required }: { required: string[] }) => required[0],
    );

    expect(words).toEqual(expect.arrayContaining(CONTROL_CALLS.map(({ word }) => word)));
    expect(Object.keys(schema.$defs.step.properties)).toEqual(expect.arrayContaining(words));
  });

  it('describes every key', () => {
    const keys = { ...schema.properties, ...schema.$defs.step.properties };
    const silent = Object.entries<{ description?: string }>(keys).filter(
      ([, key]) => !key.description,
    );

    expect(silent.map(([name]) => name)).toEqual([]);
  });

  it('is named in the first line of every scenario of ours, and their names differ', () => {
    const all = ownScenarios();
    const silent = all.filter(
      ({ file }) =>
        !/^# yaml-language-server: \$schema=(\.\.\/)+scenario\.schema\.json\n/.test(
          readFileSync(file, 'utf8'),
        ),
    );

    expect(silent.map(({ file }) => file)).toEqual([]);
    expect(new Set(all.map(({ name }) => name)).size).toBe(all.length);
  });
});
