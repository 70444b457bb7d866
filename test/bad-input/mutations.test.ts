/**
 * Bad input: thousands of requests, each one mutation away from a valid one, and every refusal that the emulator knows. What
 * goes wrong is printed with the seed, which FOUNDRITE_TEST_SEED plays again.
 */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { operations } from '../../contracts/openapi.ts';
import { Bench, type Plant } from './bench.ts';
import { FIELDS } from './fields.ts';
import { REFUSALS } from './refusals.ts';
import { refusingRules } from './rules.ts';
import { type Problem, sendMutated, sendRefusal, sendValid, Told } from './run.ts';
import { ask, WORLD } from './world.ts';

const SEED = process.env.FOUNDRITE_TEST_SEED ?? 'one mutation away';
/** Per operation: more than 25,000 in all. */
const EACH = 220;

let bench: Bench;
const told = new Told();

beforeAll(async () => {
  bench = new Bench();
  await bench.open();
});

afterAll(async () => {
  await bench.close();
  console.log(told.table(SEED));
});

test('the requests that mutations start from are valid, and there are some of every operation', async () => {
  for (const { operationId } of operations())
    expect(bench.valid(operationId).length, operationId).toBeGreaterThan(0);
  expect(await sendValid(bench)).toEqual([]);
});

describe('one mutation away from a valid request', () => {
  test.for(operations().map(({ operationId }) => operationId))(
    '%s answers as it promises',
    { timeout: 120_000 },
    async (operation) => {
      const problems = await sendMutated(bench, operation, SEED, EACH, told);
      expect(
        problems.slice(0, 5).map(shown),
        `${problems.length} problems of the seed '${SEED}'`,
      ).toEqual([]);
    },
  );

  test('names the very field in most refusals of a field', () => {
    const { exact, near } = told.params;
    expect(exact / (exact + near)).toBeGreaterThan(0.8);
  });

  test('is never accepted where it breaks HTTP itself', () => {
    expect(told.sent).toBeGreaterThanOrEqual(25_000);
    expect([...told.accepted.keys()].filter((kind) => NEVER.test(kind))).toEqual([]);
  });
});

/** Kinds of mutation that no operation takes. */
const NEVER =
  /^(header (bad name|x-control|x-bell|x-folded|host dropped|content-length|transfer-encoding)|path (not encoding|no name))$/;

describe('every refusal', () => {
  test.for([...REFUSALS, ...FIELDS])('$rule is answered $status', async (refusal) => {
    expect(await sendRefusal(bench, refusal, told)).toEqual([]);
  });

  test('that a rule of the ledger asks for is hit', () => {
    const missed = [...refusingRules()].filter((rule) => !told.rules.has(rule));
    expect(missed).toEqual([]);
  });
});

/** An answer with another status or text. */
const spoilt = (answer: Response, text: string, status = answer.status) =>
  new Response(text, { status, headers: Object.fromEntries(answer.headers) });

describe('what the judges are for', () => {
  test.for<[string, Plant, RegExp]>([
    ['a 500', async (_, answer) => spoilt(answer, await answer.text(), 500), /^answered 500/],
    [
      'an acceptance of everything',
      async (_, answer) => spoilt(answer, await answer.text(), 200),
      /^accepted, though/,
    ],
    [
      'a trace of the machine',
      async (_, answer) => spoilt(answer, `${await answer.text()}\nat x (/a/b.ts:1:2)`),
      /tells of the machine/,
    ],
    [
      'a flat error',
      async (_, answer) => {
        const body = JSON.parse(await answer.text());
        return spoilt(answer, JSON.stringify(body.error ?? body));
      },
      /no error envelope/,
    ],
    [
      'another param',
      async (_, answer) =>
        spoilt(answer, (await answer.text()).replace(/"param":"[^"]*"/, '"param":"x.y"')),
      /^param is x\.y/,
    ],
    [
      'a refusal that changes something',
      async (_, answer, emulator) => {
        if (answer.status >= 400)
          await ask(emulator, 'DELETE', `/api/projects/${WORLD}/routines/once`);
        return answer;
      },
      /refused request changed the world/,
    ],
    [
      'a line that the journal should not have',
      async (_, answer, emulator) => {
        await ask(emulator, 'POST', `/api/projects/${WORLD}/routines/none:enable`);
        return answer;
      },
      /lines tell of it|the journal says/,
    ],
  ])('they notice %s', async ([, plant, expected]) => {
    const spoiled = new Bench(plant);
    await spoiled.open();
    const problems = await sendMutated(spoiled, 'setFaults', SEED, 15, new Told());
    problems.push(...(await sendMutated(spoiled, 'createOrUpdateRoutine', SEED, 30, new Told())));
    await spoiled.close();
    expect(problems.map(({ what }) => what)).toContainEqual(expect.stringMatching(expected));
  });
});

/** A problem with what is needed to send it again. */
function shown({ what, mutated, answer }: Problem): string {
  const { raw, mutation } = mutated;
  return [
    what,
    JSON.stringify(mutation).slice(0, 300),
    `${raw.method} ${raw.path.slice(0, 300)}`,
    raw.body?.toString().slice(0, 300) ?? '',
    `-> ${answer?.status} ${answer?.text.slice(0, 500)}`,
  ].join('\n');
}
