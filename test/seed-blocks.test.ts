/**
 * Every block of code that seed 001 prints runs as it is printed, against the emulator that `foundrite exec` starts. The blocks are
 * taken out of ../shared/seeds while the test runs: the page stands there as text, without fences and without indentation.
 */
import { execFile, spawnSync } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  CLIENTS,
  installJavaScript,
  installPython,
  PYTHON_VERSIONS,
  pythonOf,
  ROOT,
} from './clients/install.mjs';

const SEEDS = join(ROOT, '..', 'shared', 'seeds');
const JAVASCRIPT_VERSIONS = ['2.2.0', '2.3.1', '2.6.0', '2.10.0'];
const INSTALL_MS = 300_000;
const RUN_MS = 60_000;
/** Begins a line that says which block prints what follows. */
const MARK = '=== block ';

type Language = 'shell' | 'python' | 'javascript';

interface Block {
  language: Language;
  /** As printed. */
  lines: string[];
}

/** What a line at the outermost level begins with. */
const BEGINNINGS: [Language, RegExp][] = [
  ['shell', /^(?:curl |[A-Z_]+=)/],
  ['python', /^(?:import \w|from \S+ import |print\(|client\.\w|for \w+ in .*:$|if .*:$|\w+ = )/],
  ['javascript', /^(?:const |await |for await |console\.|\/\/)/],
];

function blocksOf(text: string): Block[] {
  const lines = text.split('\n');
  const blocks: Block[] = [];
  let block: Block | undefined;
  for (let index = 0; index < lines.length; ) {
    const language = languageAt(lines, index, block?.language);
    if (language === undefined) {
      block = undefined;
      index += 1;
      continue;
    }
    if (block?.language !== language) {
      block = { language, lines: [] };
      blocks.push(block);
    }
    const end = endOfStatement(lines, index, language);
    block.lines.push(...lines.slice(index, end));
    index = end;
  }
  return blocks;
}

/** A comment belongs to the code that follows it; where none does, to what went before it. */
function languageAt(
  lines: string[],
  index: number,
  before: Language | undefined,
): Language | undefined {
  const begins = (line: string) => BEGINNINGS.find(([, beginning]) => beginning.test(line))?.[0];
  if (!lines[index]?.startsWith('#')) return begins(lines[index] ?? '');
  const next = begins(lines.slice(index).find((line) => !line.startsWith('#')) ?? '');
  return next === 'shell' || next === 'python' ? next : before === 'python' ? before : undefined;
}

function endOfStatement(lines: string[], start: number, language: Language): number {
  const state: State = { depth: 0, quote: '' };
  for (let index = start; index < lines.length; index += 1) {
    const line = lines[index] ?? '';
    scan(line, language, state);
    const goesOn =
      state.depth > 0 || state.quote !== '' || (language === 'shell' && line.endsWith('\\'));
    if (!goesOn) return index + 1;
  }
  throw new Error(`the block at line ${start + 1} does not end: ${lines[start]}`);
}

interface State {
  /** Brackets open. */
  depth: number;
  /** The quote that is open; across lines in the shell only. */
  quote: string;
}

function scan(line: string, language: Language, state: State): void {
  const comment = language === 'javascript' ? '//' : '#';
  for (let at = 0; at < line.length; at += 1) {
    const char = line.charAt(at);
    if (state.quote !== '') {
      if (char === '\\' && state.quote !== "'") at += 1;
      else if (char === state.quote) state.quote = '';
    } else if (line.startsWith(comment, at)) return;
    else if (char === '"' || char === "'" || char === '`') state.quote = char;
    else if ('([{'.includes(char)) state.depth += 1;
    else if (')]}'.includes(char)) state.depth -= 1;
  }
}

/** Gives Python back the whitespace that it lost at the beginning of lines. A comment at the outermost level ends a loop. */
function indented({ lines, language }: Block): string[] {
  const result: string[] = [];
  let level = 0;
  for (let index = 0; index < lines.length; ) {
    const end = endOfStatement(lines, index, language);
    const statement = lines.slice(index, end);
    if (statement[0]?.startsWith('#')) level = 0;
    result.push(...statement.map((line) => '    '.repeat(level) + line));
    if (statement.at(-1)?.endsWith(':') && !statement[0]?.startsWith('#')) level += 1;
    index = end;
  }
  return result;
}

const INSTANT = String.raw`\d{4}-\d\d-\d\d \d\d:\d\d:\d\d\+00:00`;
const ISO = /^2026-06-01T00:00:\d\dZ$/;

/** What each block prints, in the order of the page: line by line, the last pattern for all that follows. */
const PYTHON_PRINTS: RegExp[][] = [
  [/^Routine created: daily-summary, enabled=True$/],
  [],
  [/^Enabled: False$/, /^Enabled: True$/],
  [/^dispatch_id: disp-\w+$/, /^task_id: task-\w+$/],
  [
    new RegExp(
      `^run-\\w+ phase=completed source=queued_dispatch started=${INSTANT} ended=${INSTANT}$`,
    ),
  ],
  [
    /^my-invocations-routine enabled=True triggers=\['daily'\]$/,
    /^daily-summary enabled=True triggers=\['weekday-morning'\]$/,
    /^once-on-release-day enabled=True triggers=\['release-day'\]$/,
    /^\{'name': 'daily-summary', 'description': 'Runs a daily summary agent on weekday mornings\.', 'enabled': True, .*\}$/,
  ],
  [new RegExp(`^Updated at: ${INSTANT}$`)],
  [/^Routine deleted\.$/],
];

const JAVASCRIPT_PRINTS: RegExp[][] = [
  [/^Routine created: daily-summary, enabled=true$/],
  [],
  [/^Enabled: false$/, /^Enabled: true$/],
  [/^dispatch_id: disp-\w+$/],
  [/^run-\w+ phase=completed source=queued_dispatch$/],
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
  [/^Updated at: Mon Jun 01 2026 \d\d:\d\d:\d\d GMT/],
  [/^Routine deleted\.$/],
];

const seed = existsSync(SEEDS)
  ? readdirSync(SEEDS).find((name) => /^001.*\.txt$/.test(name))
  : undefined;
if (seed === undefined)
  process.stderr.write(`seed-blocks: ${SEEDS} is missing, so its blocks are not run.\n`);

describe.skipIf(seed === undefined)('the code of seed 001', () => {
  const blocks = seed === undefined ? [] : blocksOf(readFileSync(join(SEEDS, seed), 'utf8'));
  const printed = (language: Language) => blocks.filter((block) => block.language === language);
  const folder = mkdtempSync(join(tmpdir(), 'foundrite-seed-'));
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  test('is found whole', () => {
    expect(printed('shell')).toHaveLength(13);
    expect(printed('python')).toHaveLength(PYTHON_PRINTS.length);
    expect(printed('javascript')).toHaveLength(JAVASCRIPT_PRINTS.length);
    const lines = readFileSync(join(SEEDS, seed ?? ''), 'utf8').split('\n');
    const count = (beginning: RegExp) => lines.filter((line) => beginning.test(line)).length;
    const found = (language: Language, beginning: RegExp) =>
      printed(language)
        .flatMap((block) => block.lines)
        .filter((line) => beginning.test(line)).length;
    expect(found('shell', /^curl /)).toBe(count(/^curl /));
    expect(found('python', /client\.beta\.routines\.\w/)).toBe(
      count(/^[^(]*(?<!await )client\.beta\.routines\.[a-z_]+\b(?<!createOrUpdate)\(/) -
        jsOnly(lines),
    );
    expect(found('javascript', /await .*client\.beta\.routines\./)).toBe(
      count(/await .*client\.beta\.routines\./),
    );
  });

  describe('in JavaScript', () => {
    beforeAll(() => installJavaScript(), INSTALL_MS);

    test.each(JAVASCRIPT_VERSIONS)(
      'runs with @azure/ai-projects %s and prints what the page says',
      async (version) => {
        const at = place(folder, `javascript-${version}`);
        const scope = join(at, 'node_modules', '@azure');
        mkdirSync(scope, { recursive: true });
        symlinkSync(
          join(CLIENTS, 'node_modules', `ai-projects-${version}`),
          join(scope, 'ai-projects'),
          'junction',
        );
        symlinkSync(
          join(CLIENTS, 'node_modules', '@azure', 'identity'),
          join(scope, 'identity'),
          'junction',
        );
        const script = join(at, 'blocks.cjs');
        writeFileSync(script, javascript(printed('javascript').map(withDate)));
        expectPrinted(await exec([process.execPath, script]), JAVASCRIPT_PRINTS);
      },
      RUN_MS,
    );

    test('changes nothing but the instant of the timer', () => {
      const changed = printed('javascript').filter((block) => withDate(block) !== text(block));
      expect(changed).toHaveLength(1);
      expect(text(changed[0] as Block)).toContain('at: "2026-09-01T09:00:00Z", // required');
    });
  });

  describe('in Python', async () => {
    let missing: string | undefined;
    beforeAll(() => {
      missing = installPython();
    }, INSTALL_MS);

    test.each(PYTHON_VERSIONS)(
      'runs with azure-ai-projects %s and prints what the page says',
      async (version) => {
        if (missing !== undefined) return void skipPython(missing);
        const at = place(folder, `python-${version}`);
        writeFileSync(
          join(at, 'blocks.json'),
          JSON.stringify(printed('python').map((block) => indented(block).join('\n'))),
        );
        const script = join(at, 'driver.py');
        writeFileSync(script, PYTHON_DRIVER);
        expectPrinted(await exec([pythonOf(version), script]), PYTHON_PRINTS);
      },
      RUN_MS,
    );

    test('changes nothing but whitespace at the beginning of lines', () => {
      for (const block of printed('python')) {
        expect(indented(block).map((line) => line.trimStart())).toEqual(block.lines);
      }
      const restored = printed('python')
        .flatMap((block) => indented(block))
        .filter((line) => /^ /.test(line));
      expect(restored.length).toBeGreaterThan(0);
    });
  });
});
