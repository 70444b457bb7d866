/** Where scenarios are played: the emulator in this process, or one by URL that is there and lets us in. */
import { readFileSync, statSync } from 'node:fs';
import { controlBelow, httpTarget, type Target, Unreachable } from '../contracts/target.ts';
import { systemClock } from '../emulator/clock.ts';
import { inProcess } from '../emulator/in-process.ts';
import { authorityOf } from './call.ts';
import { EXIT, Exit, usage } from './exit.ts';

/** How long an emulator may take to say that it is one. */
const ANSWER_MAX_MS = 10_000;

export interface ReachFlags {
  url?: string;
  controlToken?: string;
  ca?: string;
}

interface Reached {
  target: Target;
  close(): Promise<void> | void;
}

export async function targetOf(flags: ReachFlags): Promise<Reached> {
  if (flags.url === undefined) {
    const notice = (message: string) => process.stderr.write(`foundrite: ${message}\n`);
    return inProcess({ notice });
  }
  const url = URL.parse(flags.url);
  if (!url || !/^https?:$/.test(url.protocol))
    throw usage(
      `--url is "${flags.url}": write where the emulator listens, like https://127.0.0.1:3686.`,
    );
  const token = flags.controlToken ?? (process.env.FOUNDRITE_CONTROL_TOKEN || undefined);
  const control = controlBelow(token === undefined ? undefined : `Bearer ${token}`);
  const ca = flags.ca === undefined ? await authorityOf(url) : authorityIn(flags.ca);
  const target = httpTarget(url.origin, { authorization: 'Bearer scenario', ca, control });
  try {
    await admitted(target);
  } catch (error) {
    target.close();
    if (error instanceof Exit) throw error;
    const { message } = error as Error;
    const advice = /CERT|SIGNED|ISSUER/.test(message)
      ? 'Name its authority with --ca.'
      : 'Start one with "foundrite start".';
    const said = error instanceof Unreachable ? message : `${target.name} broke off (${message}).`;
    throw new Exit(EXIT.unreachable, `${said} ${advice}`);
  }
  return { target, close: () => target.close() };
}

function authorityIn(file: string): string {
  const isFile = statSync(file, { throwIfNoEntry: false })?.isFile() === true;
  const pem = isFile ? readFileSync(file, 'utf8') : '';
  if (!pem.includes('-----BEGIN CERTIFICATE-----'))
    throw usage(`--ca "${file}" is no file with a certificate (PEM).`);
  return pem;
}

async function admitted(target: Target): Promise<void> {
  if (!target.control) return;
  const answer = await inTime(target.send(target.control.request('projects', {})), target.name);
  const text = await answer.text();
  if (answer.ok && answer.headers.has('x-foundrite-now')) return;
  if (answer.ok && /^\s*\{\s*"projects"/.test(text)) return;
  if (answer.status === 401 || answer.status === 403)
    throw new Exit(
      EXIT.refused,
      `${target.name} refuses control calls (${answer.status}): name its token with --control-token or FOUNDRITE_CONTROL_TOKEN.`,
    );
  throw new Exit(
    EXIT.refused,
    `${target.name} does not answer control calls (${answer.status} ${text.slice(0, 200)}): it is no Foundrite emulator, or was started with --no-control.`,
  );
}

/** Somebody who listens and says nothing is not there either. */
async function inTime<T>(work: Promise<T>, name: string): Promise<T> {
  let cancel = () => {};
  const late = new Promise<never>((_, reject) => {
    const giveUp = () => reject(new Unreachable(`${name} does not answer.`));
    cancel = systemClock.after(ANSWER_MAX_MS, giveUp, true);
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    cancel();
  }
}
