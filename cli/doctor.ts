/** `foundrite doctor`: says what would keep `start` with the same flags, or programs that are run from this shell, from working. */
import { checkCertificate } from './checks/certificate.ts';
import {
  checkCredentials,
  checkEndpoints,
  checkProxy,
  checkTrust,
  checkVariables,
} from './checks/environment.ts';
import { type Finding, type Level, ok, wrong } from './checks/finding.ts';
import { checkFolder } from './checks/folder.ts';
import { checkNode } from './checks/node.ts';
import { checkPort } from './checks/port.ts';
import { EXIT } from './exit.ts';
import { optionProblems } from './launch.ts';
import { type ReadOptions, readOptions } from './options.ts';
import { coloured } from './start.ts';

export async function doctor(flags: Record<string, unknown>): Promise<number> {
  const findings = await examine(flags, process.env);
  const count = (level: Level) => findings.filter((each) => each.level === level).length;
  const counts = { ok: count('ok'), warning: count('warning'), wrong: count('wrong') };
  if (flags.json) {
    process.stdout.write(`${JSON.stringify({ ...counts, findings }, null, 2)}\n`);
  } else {
    const colour = coloured(process.env, process.stdout.isTTY);
    process.stdout.write(findings.map((each) => findingText(each, colour)).join(''));
    process.stdout.write(
      `\n${counts.wrong} wrong, ${counts.warning} ${counts.warning === 1 ? 'warning' : 'warnings'}, ${counts.ok} ok\n`,
    );
  }
  return counts.wrong > 0 ? EXIT.machine : EXIT.ok;
}

/** All that was looked at, in the order in which a start needs it. */
export async function examine(
  flags: Record<string, unknown>,
  env: NodeJS.ProcessEnv,
): Promise<Finding[]> {
  const node = checkNode();
  const problems: string[] = [];
  // What is wrong counts as not said, so that the rest is looked at all the same.
  const read = await readOptions(flags, env, {}, (problem) => problems.push(problem.message));
  const configuration = await checkConfiguration(read, problems);
  const { options } = read;
  const port = await checkPort(options.host, options.port);
  const certificate = checkCertificate(options, env);
  const loads = node.every(({ level }) => level === 'ok');
  return [
    ...node,
    ...configuration,
    ...port.findings,
    // Without the module nothing in a folder could be read.
    ...(loads ? checkFolder(options.dataDir, port.running) : []),
    ...certificate.findings,
    ...checkTrust(env, certificate.caPem),
    ...checkProxy(env, options),
    ...checkEndpoints(env, options),
    ...checkCredentials(env),
    ...checkVariables(env),
  ];
}

async function checkConfiguration(read: ReadOptions, problems: string[]): Promise<Finding[]> {
  problems.push(...(await optionProblems(read)).map(({ message }) => message));
  const { path, there } = read.configuration;
  if (problems.length === 0)
    return [ok('configuration', there ? `${path} can be read` : `no ${path} in this folder`)];
  return problems.map((problem) => {
    const [found = '', ...todo] = problem.split(
      /: (?=write )|; (?=(?:write|use|give|send|leave) )|(?<=[.)]) (?=[A-Z])/,
    );
    return wrong(
      'configuration',
      found,
      todo.join(' ') || 'foundrite start --help tells what is taken.',
    );
  });
}

const COLOURS: Record<Level, string> = { ok: '32', warning: '33', wrong: '31' };

function findingText({ check, level, found, todo }: Finding, colour: boolean): string {
  const word = level.padEnd(8);
  const strong = colour ? `\x1b[${COLOURS[level]}m${word}\x1b[39m` : word;
  const first = `${strong} ${check.padEnd(13)} ${found}\n`;
  return todo === undefined ? first : `${first}${' '.repeat(23)}→ ${todo}\n`;
}
