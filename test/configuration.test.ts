/** Where the values of a start come from, and what says so: variables, --print-config. */
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import fc from 'fast-check';
import { afterAll, expect, test } from 'vitest';
import { parse } from 'yaml';
import { KEYS } from '../cli/configuration.ts';
import { EXEC_DEFAULTS } from '../cli/exec.ts';
import { CHILD_FLAGS, keyName, longName, START_FLAGS, variableName } from '../cli/flags.ts';
import { type Defaults, readChildOptions, readOptions } from '../cli/options.ts';
import { configText } from '../cli/print-config.ts';
import { knownVariables, unknownVariables, withPlayVariables } from '../cli/variables.ts';

const BIN = fileURLToPath(new URL('../cli/bin.mjs', import.meta.url));
const home = mkdtempSync(join(tmpdir(), 'foundrite-test-'));
afterAll(() => rmSync(home, { recursive: true, force: true }));

function run(args: string[], more: Record<string, string> = {}) {
  const env = { PATH: process.env.PATH, FOUNDRITE_HOME: home, ...more };
  const options = { env, cwd: home, encoding: 'utf8' } as const;
  const { status, stdout, stderr } = spawnSync(process.execPath, [BIN, ...args], options);
  return { status, stdout, stderr };
}

/** A value for each flag that differs from its default, as a variable writes it and as it is then. */
const VALUES: Record<string, [written: string, value: unknown]> = {
  port: ['4801', 4801],
  host: ['localhost', 'localhost'],
  data_dir: ['data', 'data'],
  durability: ['full', 'full'],
  now: ['2026-06-01T07:00:00Z', Date.parse('2026-06-01T07:00:00Z')],
  rate: ['0', 0],
  skip: ['true', true],
  seed: ['7', '7'],
  profile: ['v2preview', 'v2preview'],
  switch: ['overlap=queue,retry_after=honoured', { overlap: 'queue', retry_after: 'honoured' }],
  setting: ['skip_max=1h,attempts_max=5', { skip_max: '1h', attempts_max: 5 }],
  empty: ['true', true],
  control_token: ['t', 't'],
  control: ['false', false],
  tls_name: ['a.test,b.test', ['a.test', 'b.test']],
  cert: ['c.pem', 'c.pem'],
  key: ['k.pem', 'k.pem'],
  ready_file: ['ready', 'ready'],
  cors: ['*', '*'],
  journal_max: ['9', 9],
  log_level: ['info', 'info'],
  watch: ['true', true],
  project: ['mine', 'mine'],
  keep_azure_env: ['true', true],
  identity: ['false', false],
};
/** What an option is called where it is not as its flag. */
const PLURALS: Record<string, string> = {
  switch: 'switches',
  setting: 'settings',
  tls_name: 'tls_names',
};
const FLAGS = [...START_FLAGS, ...CHILD_FLAGS].filter((flag) => longName(flag) !== 'config');
const names = [...new Set(FLAGS.map((flag) => keyName(longName(flag).replace(/^no-/, ''))))];

test.each(names)(
  '%s has a variable and a key of foundrite.yaml, and both are followed',
  async (name) => {
    const [written, value] = VALUES[name] ?? ['', 'the test lacks a value'];
    const file = join(home, 'one.yaml');
    writeFileSync(file, `${name}: ${written === '*' ? '"*"' : written}\n`);
    const said = async (flags: Record<string, unknown>, env: NodeJS.ProcessEnv) => {
      // What goes together (--cert and --key) is not asked for here.
      const { options, child } = await readOptions(flags, env, {}, () => {});
      const all = Object.entries({ ...options, ...child });
      return Object.fromEntries(all.map(([key, one]) => [keyName(key), one]))[
        PLURALS[name] ?? name
      ];
    };
    const isPath = ['data_dir', 'cert', 'key', 'ready_file'].includes(name);

    expect(await said({}, {})).not.toEqual(value);
    expect(await said({}, { [variableName(name)]: written })).toEqual(value);
    expect(KEYS).toContain(name);
    if (!['switch', 'setting', 'tls_name'].includes(name))
      expect(await said({ config: file }, {})).toEqual(isPath ? resolve(home, written) : value);
  },
);

test('a switch that a flag can turn off can be turned off by variable, in two spellings', async () => {
  for (const name of ['skip', 'control', 'empty'] as const) {
    const read = async (env: NodeJS.ProcessEnv) => (await readOptions({}, env)).options[name];
    expect(await read({ [variableName(name)]: '0' })).toBe(false);
    expect(await read({ [variableName(`no-${name}`)]: 'true' })).toBe(false);
    expect(await read({ [variableName(`no-${name}`)]: 'false' })).toBe(true);
  }
  expect(readChildOptions({}, { FOUNDRITE_NO_IDENTITY: '1', FOUNDRITE_PROJECT: 'p' })).toEqual({
    project: 'p',
    keepAzureEnv: false,
    identity: false,
  });
});

test('a variable goes before the file, its negation too', async () => {
  const config = join(home, 'control.yaml');
  writeFileSync(config, 'control: true\n');

  const { options } = await readOptions({ config }, { FOUNDRITE_NO_CONTROL: '1' });

  expect(options.control).toBe(false);
});

test('switches and settings are merged by name: flag before variable before file', async () => {
  const config = join(home, 'merged.yaml');
  writeFileSync(
    config,
    'settings: { skip_max: 1h, wall_max: 9, page_max: 7 }\nswitches: { a: file }\n',
  );
  const flags = { config, setting: ['skip_max=3h'], switch: ['b=flag'] };

  const { options, origins } = await readOptions(flags, {
    FOUNDRITE_SETTING: 'skip_max=2h,wall_max=8',
  });

  expect(options.settings).toEqual({ skip_max: '3h', wall_max: 8, page_max: 7 });
  expect(options.switches).toEqual({ a: 'file', b: 'flag' });
  expect(origins.get('setting')).toBe(`--setting and FOUNDRITE_SETTING and setting in ${config}`);
});

test.each([
  [{ controlToken: '' }, {}],
  [{ controlToken: ' ' }, {}],
  [{}, { FOUNDRITE_CONTROL_TOKEN: '\n' }],
])('a control token that nobody can bear is refused: %j %j', async (flags, env) => {
  await expect(readOptions(flags, env)).rejects.toThrow(/ is no token: it is empty\. /);
  await expect(readOptions({ controlToken: 'a hush' }, {})).rejects.toThrow(
    '--control-token is no token: it holds blanks, which no call can bear.',
  );
  expect((await readOptions({ controlToken: ' t\n' }, {})).options.controlToken).toBe('t');
});

test('a token beside no control is refused, but where a flag turns it off for once', async () => {
  const config = join(home, 'token.yaml');
  writeFileSync(config, 'control_token: t\n');
  const token = { FOUNDRITE_CONTROL_TOKEN: 't' };

  await expect(readOptions({ controlToken: 't', control: false }, {})).rejects.toThrow(
    '--control-token is of no use: --no-control turns all control off.',
  );
  await expect(readOptions({ controlToken: 't' }, { FOUNDRITE_NO_CONTROL: '1' })).rejects.toThrow(
    'is of no use: FOUNDRITE_NO_CONTROL turns',
  );
  for (const said of [
    await readOptions({ control: false }, token),
    await readOptions({ control: false, config }, {}),
  ])
    expect(said.options.control).toBe(false);
});

test('control for those who bear the token, if there is one', async () => {
  const auto = { FOUNDRITE_CONTROL: 'auto', FOUNDRITE_HOST: '0.0.0.0' };

  expect((await readOptions({}, auto)).options.control).toBe(false);
  expect((await readOptions({ controlToken: 't' }, auto)).options.control).toBe(true);
  await expect(readOptions({}, { FOUNDRITE_CONTROL: 'maybe' })).rejects.toThrow(
    'FOUNDRITE_CONTROL is "maybe": write true, false or auto.',
  );
});

test('play has variables for how, and none for what and where', () => {
  const env = {
    FOUNDRITE_REPORTER: 'pretty,junit=a.xml',
    FOUNDRITE_JOBS: '2',
    FOUNDRITE_PREFIX: 'x',
    FOUNDRITE_CA: 'ca.pem',
    FOUNDRITE_CONTROL_TOKEN: 't',
    FOUNDRITE_URL: 'http://elsewhere',
    FOUNDRITE_SEED: '7',
  };

  expect(withPlayVariables({ jobs: '3' }, env)).toEqual({
    reporter: ['pretty', 'junit=a.xml'],
    jobs: '3',
    prefix: 'x',
    ca: 'ca.pem',
    controlToken: 't',
  });
  expect(run(['play', '--list'], { FOUNDRITE_JOBS: 'many' })).toMatchObject({
    status: 2,
    stderr: expect.stringContaining('"many"'),
  });
});

test('a variable that there is not is named with what was meant, and changes nothing', () => {
  expect(unknownVariables({ FOUNDRITE_DATADIR: 'x', FOUNDRITE_ZZZ: 'x', OTHER: 'x' })).toEqual([
    expect.stringMatching(
      /^there is no variable FOUNDRITE_DATADIR, .* Near it: FOUNDRITE_DATA_DIR[.,]/,
    ),
    'there is no variable FOUNDRITE_ZZZ, so it does nothing.',
  ]);
  expect(unknownVariables(Object.fromEntries(knownVariables().map((name) => [name, 'x'])))).toEqual(
    [],
  );
  // Kubernetes sets these in every container beside a service of our name.
  expect(
    unknownVariables({ FOUNDRITE_SERVICE_HOST: '10.0.0.1', FOUNDRITE_PORT_3686_TCP: 'x' }),
  ).toEqual([]);

  const { status, stdout, stderr } = run(['ledger', 'cron/day-rule'], { FOUNDRITE_PROT: '1' });
  expect({ status, stderr }).toEqual({
    status: 0,
    stderr: expect.stringMatching(
      /^foundrite: there is no variable FOUNDRITE_PROT, [^\n]* FOUNDRITE_PORT[^\n]*\n$/,
    ),
  });
  expect(stdout).toMatch(/^cron\/day-rule/);
});

test('--print-config says each value and where it is from, keeps a secret, and starts nothing', () => {
  writeFileSync(
    join(home, 'foundrite.yaml'),
    'seed: file\nagents:\n  digest: { reply: { kind: forward, url: "http://me:hush@127.0.0.1:9/" } }\n' +
      '  keyed: { reply: { url: "http://127.0.0.1:9/a?key=hush", kind: forward } }\n' +
      '  plain: { reply: { kind: forward, url: "http://127.0.0.1:9/" } }\n' +
      'assistants:\n  clerk: { id: asst_1, reply: { kind: model, url: "http://127.0.0.1:9/", api_key: hush } }\n' +
      'routines:\n  daily:\n    triggers: { m: { type: schedule, cron_expression: 0 7 * * *, time_zone: UTC } }\n' +
      '    action: { type: invoke_agent_responses_api, agent_name: digest }\n',
  );
  const env = { FOUNDRITE_RATE: '0', FOUNDRITE_CONTROL_TOKEN: 'hush' };

  const { status, stdout, stderr } = run(
    ['start', '--print-config', '--port', '5', '--data-dir', 'd'],
    env,
  );

  expect({ status, stderr }).toEqual({ status: 0, stderr: '' });
  for (const line of [
    'port: 5  # --port',
    'rate: 0  # FOUNDRITE_RATE',
    'seed: file  # seed in foundrite.yaml',
    'host: 127.0.0.1  # default',
    'profile: lenient  # default',
    `data_dir: ${join(home, 'd')}  # --data-dir`,
    '# control_token: (not shown)  # FOUNDRITE_CONTROL_TOKEN',
    '# agents in foundrite.yaml',
    '# assistants in foundrite.yaml',
    '# routines in foundrite.yaml',
    'watch: false  # default',
    '# not set: now, cert, key, ready_file, cors, journal_max',
  ])
    expect(stdout.split('\n')).toContain(line);
  expect(stdout).not.toContain('hush');
  expect(stdout).toContain('# url: http://not-shown@127.0.0.1:9/a?not-shown\n');
  expect(parse(stdout).agents).toEqual({
    digest: { reply: { kind: 'forward' } },
    keyed: { reply: { kind: 'forward' } },
    plain: { reply: { kind: 'forward', url: 'http://127.0.0.1:9/' } },
  });
  expect(parse(stdout).assistants).toEqual({
    clerk: {
      id: 'asst_1',
      reply: { kind: 'model', url: 'http://127.0.0.1:9/', api_key: 'not-shown' },
    },
  });
  expect(stdout).not.toContain('keep_azure_env');

  const exec = run(['exec', '--print-config', '--project', 'p']);
  expect(exec.status).toBe(0);
  expect(exec.stdout).toContain('\nproject: p  # --project\n');
  expect(exec.stdout).toContain(
    '\n# port: 0  # default; exec takes it by flag or variable alone\n',
  );
  rmSync(join(home, 'foundrite.yaml'));
});

test('--print-config refuses what a start would', () => {
  expect(run(['start', '--print-config', '--switch', 'x=y'])).toMatchObject({
    status: 2,
    stdout: '',
  });
  expect(run(['start', '--print-config', '--rate', '2'])).toMatchObject({ status: 2, stdout: '' });
});

/** Texts that YAML could take for something else. */
const texts = fc.oneof(
  fc.string({ minLength: 1 }),
  fc.constantFrom(
    '7',
    '007',
    'true',
    'null',
    '~',
    '- a',
    'a: b',
    '# x',
    'a #b',
    '{a',
    '"',
    "'",
    'a\nb',
    '2026-06-01',
  ),
);

test('what --print-config prints is a foundrite.yaml that says the same', async () => {
  const file = join(home, 'printed.yaml');
  const anything = fc.record(
    {
      port: fc.nat(65_535).map(String),
      seed: texts,
      dataDir: texts.filter((text) => !text.includes('\0')),
      cors: texts,
      skip: fc.boolean(),
      control: fc.constant(false),
      now: fc
        .date({ noInvalidDate: true, min: new Date(0), max: new Date('9999-01-01') })
        .map((date) => date.toISOString()),
      rate: fc.constantFrom('0', '1'),
      switch: fc.constant(['overlap=queue']),
      setting: fc.constantFrom(['skip_max=1h', 'retry_on=408 5xx timeout'], ['attempts_max=5']),
      tlsName: fc.constant(['*.a.test', '10.0.0.1']),
      journalMax: fc.constant('12'),
    },
    { requiredKeys: [] },
  );

  await fc.assert(
    fc.asyncProperty(anything, fc.constantFrom('start', 'exec'), async (flags, verb) => {
      const defaults: Defaults = verb === 'exec' ? EXEC_DEFAULTS : {};
      const before = await readOptions(
        { config: join(home, 'none.yaml'), ...flags },
        {},
        defaults,
        () => {},
      );
      writeFileSync(file, configText(verb as 'start' | 'exec', before, defaults.ignored));

      const after = await readOptions({ config: file }, {}, defaults);

      const dataDir =
        before.options.dataDir === undefined ? {} : { dataDir: resolve(before.options.dataDir) };
      const port = verb === 'exec' ? { port: 0 } : {};
      expect(after.options).toEqual({ profile: 'lenient', ...before.options, ...dataDir, ...port });
      expect(after.child).toEqual(before.child);
    }),
    { numRuns: 200 },
  );
});
