// The GitHub Action, its steps run as a runner runs them: bash with -e and pipefail, files for what they tell the later ones.
import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse } from 'yaml';

/** A job on a runner: what its steps left in the files for environment, outputs and path. */
function job(folder, env) {
  const temporary = join(folder, 'runner');
  mkdirSync(temporary, { recursive: true });
  const file = (name) => join(temporary, name);
  const files = {
    GITHUB_ENV: file('env'),
    GITHUB_OUTPUT: file('output'),
    GITHUB_PATH: file('path'),
  };
  for (const path of Object.values(files)) writeFileSync(path, '');
  const read = (name) => variablesIn(readFileSync(files[name], 'utf8'));
  return {
    env: () => ({ ...env, ...read('GITHUB_ENV'), PATH: `${paths(files)}${env.PATH}` }),
    outputs: () => read('GITHUB_OUTPUT'),
    /** `uses: action` with these inputs; answers the exit code of the first step that fails, and what was printed. `without` names a step that was run before. */
    async uses(path, inputs = {}, without = '') {
      const action = parse(readFileSync(path, 'utf8'));
      const values = Object.fromEntries(
        Object.entries(action.inputs ?? {}).map(([name, each]) => [
          name,
          inputs[name] ?? each.default,
        ]),
      );
      const unknown = Object.keys(inputs).find((name) => !(name in values));
      if (unknown) throw new Error(`the action has no input ${unknown}`);
      let printed = '';
      for (const step of action.runs.steps.filter(({ name }) => name !== without)) {
        if (step.shell !== 'bash') throw new Error(`the step ${step.name} wants ${step.shell}`);
        const stepEnv = Object.entries(step.env ?? {}).map(([name, value]) => [
          name,
          filled(value, values),
        ]);
        const ran = await bash(step.run, {
          cwd: join(folder, filled(step['working-directory'] ?? '.', values)),
          env: { ...this.env(), ...files, RUNNER_TEMP: temporary, ...Object.fromEntries(stepEnv) },
        });
        printed += ran.printed;
        if (ran.code !== 0) return { code: ran.code, printed };
      }
      return { code: 0, printed };
    },
  };
}

function filled(text, inputs) {
  return text.replaceAll(/\$\{\{ *inputs\.([a-z-]+) *\}\}/g, (_, name) => {
    if (!(name in inputs)) throw new Error(`a step asks for the input ${name}, which there is not`);
    return inputs[name];
  });
}

function bash(script, { cwd, env }) {
  return new Promise((resolve, reject) => {
    const args = ['--noprofile', '--norc', '-e', '-o', 'pipefail', '-c', script];
    const child = spawn('bash', args, { cwd, env, stdio: ['ignore', 'pipe', 'pipe'] });
    let printed = '';
    for (const stream of [child.stdout, child.stderr])
      stream.on('data', (chunk) => (printed += chunk));
    child.on('error', reject);
    // Not when the pipes close: the emulator goes on in the background.
    child.on('exit', (code) => resolve({ code, printed }));
  });
}

function paths({ GITHUB_PATH }) {
  const lines = readFileSync(GITHUB_PATH, 'utf8').split('\n').filter(Boolean).reverse();
  return lines.map((line) => `${line}:`).join('');
}

/** `NAME=value`, and `NAME<<END` with lines up to END. */
function variablesIn(text) {
  const found = {};
  const lines = text.split('\n');
  for (let line = lines.shift(); line !== undefined; line = lines.shift()) {
    const [, name, sign, rest] = /^([^=<]+)(=|<<)(.*)$/.exec(line) ?? [];
    if (sign === '=') found[name] = rest;
    if (sign === '<<') {
      const value = [];
      for (let next = lines.shift(); next !== rest; next = lines.shift()) value.push(next);
      found[name] = value.join('\n');
    }
  }
  return found;
}

export async function tryAction({ test, run, folder, tarball, env }) {
  const runner = job(folder, env);
  const stop = () => runner.uses('action/stop/action.yml');

  await test('the action starts it for the steps that follow, and ends it', async () => {
    mkdirSync(join(folder, 'app'), { recursive: true });
    writeFileSync(join(folder, 'app', 'foundrite.yaml'), 'seed: from-file\n');
    const started = await runner.uses('action/action.yml', {
      version: tarball,
      args: `--rate 0 --setting 'retry_on=408 5xx'`,
      'data-dir': 'kept worlds',
      project: 'ci',
      'working-directory': 'app',
    });
    const used = started.code === 0 ? await useIt(runner, run) : 'it did not start';
    const stopped = await stop();
    if (!/ready url=\S+ pid=\d+ store="kept worlds" rate=0 .*seed=from-file/.test(started.printed))
      throw new Error(`${started.code}: ${started.printed}`);
    if (used) throw new Error(used);
    if (stopped.code !== 0 || !/foundrite ready/.test(stopped.printed))
      throw new Error(`the stop: ${stopped.code} ${stopped.printed}`);
    if (existsSync(join(folder, 'runner', 'foundrite', 'ready'))) throw new Error('it still runs');
  });

  const again = (args) =>
    runner.uses('action/action.yml', { version: tarball, args }, 'Install Foundrite');

  await test('the action starts it without any args, and later steps have the token of its args', async () => {
    for (const args of ['', ' \n', `--control-token 'secret'`, '--control-token=secret']) {
      const started = await again(args);
      const used = started.code === 0 ? await clockOf(runner, run) : 'it did not start';
      await stop();
      if (used) throw new Error(`"${args}": ${used} ${started.printed}`);
    }
  });

  await test('the action refuses args that it cannot go by', async () => {
    for (const [args, reason] of [
      [`--seed 'x`, /::error::args cannot be read, a quote may be open/],
      ['--ready-file here', /::error::args has --ready-file/],
      ['--ready-file=here', /::error::args has --ready-file/],
    ]) {
      const { code, printed } = await again(args);
      await stop();
      if (code !== 1 || !reason.test(printed)) throw new Error(`${args}: ${code} ${printed}`);
    }
  });

  await test('the action fails with the reason when the emulator does not start', async () => {
    const { code, printed } = await again('--rate 7');
    await stop();
    if (code !== 1 || !/::error::.*--rate is "7"/.test(printed))
      throw new Error(`${code}: ${printed}`);
  });
}

/** Later steps, which have no flag and only what the action set; answers what is wrong. */
async function useIt(runner, run) {
  const { url } = runner.outputs();
  const script = `const { AZURE_AI_PROJECT_ENDPOINT: endpoint } = process.env;
    const answer = await fetch(endpoint + '/routines', { headers: { authorization: 'Bearer t' } });
    console.log(answer.status, endpoint);`;
  const step = await run('node', ['--input-type=module', '-e', script], runner.env());
  if (step.printed.stdout.trim() !== `200 ${url.replace('http', 'https')}/api/projects/ci`)
    return JSON.stringify(step.printed);
  return clockOf(runner, run, 0);
}

async function clockOf(runner, run, rate = 1) {
  const clock = await run('foundrite', ['clock'], runner.env());
  const shown =
    clock.printed.stdout.startsWith('now ') && clock.printed.stdout.includes(` rate ${rate} `);
  return shown ? '' : JSON.stringify(clock.printed);
}
