/** `--watch`: a foundrite.yaml that changes under an emulator that runs. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, renameSync, rmSync, symlinkSync, unlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { systemClock } from '../emulator/clock.ts';
import { BIN } from './started.ts';

/** An emulator in a folder of its own, at whose foundrite.yaml it looks. */
async function watching(text: string, args: string[] = []) {
  const folder = mkdtempSync(join(tmpdir(), 'foundrite-test-'));
  const file = join(folder, 'foundrite.yaml');
  writeFileSync(file, text);
  const child = spawn(process.execPath, [BIN, 'start', '--port', '0', '--rate', '0', ...args], {
    env: { PATH: process.env.PATH, FOUNDRITE_HOME: folder },
    cwd: folder,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  onTestFinished(async () => {
    if (child.exitCode === null) {
      child.kill('SIGKILL');
      await once(child, 'close');
    }
    rmSync(folder, { recursive: true, force: true });
  });
  let printed = '';
  const grown = new Set<() => void>();
  for (const stream of [child.stdout, child.stderr])
    stream.on('data', (chunk) => {
      printed += chunk;
      for (const look of grown) look();
    });
  /** What is printed from here on, as soon as it has a line like this. */
  const told = (pattern: RegExp) =>
    new Promise<string>((resolve) => {
      const from = printed.length;
      const look = () => {
        const line = printed
          .slice(from)
          .split('\n')
          .slice(0, -1)
          .find((one) => pattern.test(one));
        if (line === undefined) return;
        grown.delete(look);
        resolve(line);
      };
      grown.add(look);
      look();
    });
  const ready = await told(/foundrite ready/);
  const url = /url=(\S+)/.exec(ready)?.[1] as string;
  const get = async (path: string) => {
    const headers = { authorization: 'Bearer t' };
    return JSON.parse(await (await fetch(`${url}/api/projects/p${path}`, { headers })).text());
  };
  return { file, folder, told, get, printed: () => printed };
}

/** In the host's time, by which a file is looked at. */
const later = (ms: number) => new Promise<void>((resolve) => systemClock.after(ms, resolve, true));

const AGENT = (image: string) =>
  `agents: { digest: { definition: { kind: hosted, cpu: "1", memory: 2Gi, image: ${image} } } }\n`;
const ROUTINE = `routines:
  daily:
    triggers: { t: { type: schedule, cron_expression: 0 7 * * *, time_zone: UTC } }
    action: { type: invoke_agent_responses_api, agent_name: digest }
`;

test('what is written is applied, told in one line, and a broken file is told with its line', async () => {
  const { file, told, get, printed } = await watching(`watch: true\n${AGENT('one')}`);
  expect((await get('/agents/digest')).versions.latest.version).toBe('1');

  let next = told(/applied/);
  writeFileSync(file, `watch: true\n${AGENT('two')}${ROUTINE}`);
  expect(await next).toBe(
    'foundrite: foundrite.yaml: applied agents.digest (version 2), routines.daily in p.',
  );
  expect((await get('/agents/digest')).versions.latest).toMatchObject({
    version: '2',
    definition: { image: 'two' },
  });
  expect((await get('/routines/daily')).enabled).toBe(true);

  next = told(/not applied/);
  writeFileSync(file, `watch: true\n${AGENT('three')}rutines: {}\nskip: 9\n`);
  expect(await next).toBe('foundrite: foundrite.yaml is not applied; all stays as it was.');
  expect(printed()).toMatch(/^foundrite: foundrite\.yaml:3:1: there is no key "rutines"/m);
  expect(printed()).toMatch(/^foundrite: foundrite\.yaml:4:1: skip is 9: write true or false\.$/m);
  expect((await get('/agents/digest')).versions.latest.version).toBe('2');

  next = told(/left as it is/);
  writeFileSync(file, `watch: true\n${AGENT('two')}seed: other\n`);
  expect(await next).toBe(
    'foundrite: foundrite.yaml: named no more, and left as it is: routines.daily; from the next start: seed.',
  );
  expect((await get('/routines/daily')).enabled).toBe(true);
});

test('an assistant keeps its id while what is said of it changes, and goes when it is named no more', async () => {
  const assistants = (clerk: string) => `assistants:\n  clerk: { ${clerk} }\n`;
  const { file, told, get, printed } = await watching(assistants('id: asst_1'), ['--watch']);
  expect((await get('/assistants/asst_1')).model).toBe('gpt-4.1-mini');

  let next = told(/applied/);
  writeFileSync(file, assistants('id: asst_1, model: gpt-4.1'));
  expect(await next).toBe('foundrite: foundrite.yaml: applied assistants.clerk in p.');
  expect((await get('/assistants/asst_1')).model).toBe('gpt-4.1');

  next = told(/not applied/);
  writeFileSync(file, assistants('id: asst_1, modle: gpt-4.1'));
  await next;
  expect(printed()).toMatch(
    /^foundrite: foundrite\.yaml:2:24: assistants\.clerk\.modle is no key .* Near it: model\.$/m,
  );

  next = told(/applied/);
  writeFileSync(file, '# nobody\n');
  expect(await next).toBe('foundrite: foundrite.yaml: applied assistants.clerk (deleted) in p.');
  expect((await get('/assistants')).data).toEqual([]);
});

test('a file that another takes the place of is followed, and so is one that goes and comes', async () => {
  const { file, folder, told, get } = await watching(AGENT('one'), ['--watch', '--no-control']);
  await get('/agents/digest');
  const replace = (text: string) => {
    writeFileSync(join(folder, 'new'), text);
    renameSync(join(folder, 'new'), file);
  };

  for (const [image, version] of [
    ['two', '2'],
    ['three', '3'],
  ] as const) {
    const next = told(/applied/);
    replace(AGENT(image));
    expect(await next).toContain(`agents.digest (version ${version})`);
  }

  let next = told(/gone/);
  unlinkSync(file);
  expect(await next).toBe('foundrite: foundrite.yaml is gone; all stays as it said.');
  next = told(/applied/);
  replace(AGENT('four'));
  expect(await next).toContain('agents.digest (version 4)');
  expect((await get('/agents/digest')).versions.latest.definition.image).toBe('four');
});

test('a file that is being written is let rest first, and an empty one is not applied', async () => {
  const { file, told, get, printed } = await watching(AGENT('one'), ['--watch']);
  await get('/agents/digest');
  const next = told(/applied/);
  const whole = `${AGENT('two')}${ROUTINE}`;
  const pieces = ['', ...Array.from({ length: 8 }, (_, at) => whole.slice(0, at * 30)), whole];

  for (const piece of pieces) {
    writeFileSync(file, piece);
    await later(80);
  }

  expect(await next).toContain('applied agents.digest (version 2), routines.daily in p.');
  expect(printed()).not.toMatch(/named no more|not applied/);
  writeFileSync(file, '');
  await later(800);
  expect(printed()).not.toMatch(/named no more|not applied/);
});

test.skipIf(process.platform === 'win32')(
  'a link that leads to another file is followed, as in a container',
  async () => {
    const { file, folder, told, get } = await watching(AGENT('one'), ['--watch']);
    await get('/agents/digest');
    writeFileSync(join(folder, 'second.yaml'), AGENT('two'));
    symlinkSync('second.yaml', join(folder, 'link'));

    const next = told(/applied/);
    renameSync(join(folder, 'link'), file);

    expect(await next).toContain('agents.digest (version 2)');
  },
);
