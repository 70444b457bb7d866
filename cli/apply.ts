/** `foundrite apply -f routine.yaml`: makes and updates routines from azd's manifests, on whatever answers the API. */
import { readFileSync } from 'node:fs';
import { isDeepStrictEqual } from 'node:util';
import { httpTarget, type Target } from '../contracts/target.ts';
import { systemClock } from '../emulator/clock.ts';
import { foundryToken } from '../emulator/identity.ts';
import { authorityOf, type CallFlags, NoAnswer, targetOf } from './call.ts';
import { EXIT, Exit, together, usage } from './exit.ts';
import { type Manifest, readManifests } from './manifest.ts';

export interface ApplyFlags extends Omit<CallFlags, 'controlToken'> {
  file?: string[];
  name?: string;
  token?: string;
}

/** Everything is read before anything is sent. */
export async function apply(flags: ApplyFlags): Promise<void> {
  const manifests = await read(flags);
  const { target, path } = await projectOf(flags, process.env);
  const refused: Exit[] = [];
  try {
    for (const manifest of manifests) {
      try {
        const outcome = await applyOne(target, path, manifest);
        process.stdout.write(`${outcome} ${manifest.name}\n`);
      } catch (error) {
        // What one manifest says wrong is no reason to leave out the next.
        if (!(error instanceof Exit) || error.exitCode !== EXIT.usage) throw error;
        refused.push(error);
      }
    }
  } finally {
    target.close();
  }
  const [first, ...further] = refused;
  if (first) throw together([first, ...further]);
}

async function read({ file: files = [], name }: ApplyFlags): Promise<Manifest[]> {
  if (files.length === 0) throw usage('apply needs a manifest: foundrite apply -f routine.yaml.');
  const found = await Promise.all(
    files.map(async (file) =>
      readManifests(await textOf(file), file === '-' ? 'stdin' : file, name),
    ),
  );
  const [first, ...further] = found.flatMap(({ problems }) => problems).map(usage);
  if (first) throw together([first, ...further]);
  const manifests = found.flatMap((each) => each.manifests);
  if (name !== undefined && manifests.length > 1)
    throw usage(`--name is "${name}", and there are ${manifests.length} routines: name one alone.`);
  const twice = manifests.find((one, index) =>
    manifests.slice(0, index).some((other) => other.name === one.name),
  );
  if (twice)
    throw usage(`${twice.placeOf('')}: "${twice.name}" is there twice; give one another name.`);
  return manifests;
}

async function textOf(file: string): Promise<string> {
  try {
    if (file !== '-') return readFileSync(file, 'utf8');
    const { text } = await import('node:stream/consumers');
    return await text(process.stdin);
  } catch (error) {
    throw usage(`"${file}" (-f) cannot be read: ${(error as Error).message}.`);
  }
}

interface Project {
  target: Target & { close(): void };
  /** `/api/projects/local`. */
  path: string;
}

/** The address of an emulator, or the endpoint of a project, wherever it is. */
async function projectOf(flags: ApplyFlags, variables: NodeJS.ProcessEnv): Promise<Project> {
  const { url: origin, project } = targetOf(flags, variables);
  const url = new URL(flags.url ?? (variables.FOUNDRITE_URL || origin));
  const [, named] = /^\/api\/projects\/([^/]+)\/?$/.exec(url.pathname) ?? [];
  if (named === undefined && url.pathname !== '/')
    throw usage(`--url is "${url.href}": end it with the port, or with /api/projects/PROJECT.`);
  if (named !== undefined && flags.project !== undefined)
    throw usage(`--url names a project already; leave out --project "${flags.project}".`);
  const authorization = `Bearer ${tokenFor(url, flags.token ?? variables.FOUNDRITE_TOKEN)}`;
  const ca = await authorityOf(url);
  const target = httpTarget(url.origin, { authorization, ca });
  return { target, path: `/api/projects/${named ?? encodeURIComponent(project)}` };
}

/** An emulator takes any; the service wants one of its own, which goes over no plain line. */
function tokenFor(url: URL, given: string | undefined): string {
  const azure = /\.azure\.com$/.test(url.hostname);
  if (!given) {
    if (!azure) return foundryToken(systemClock.now());
    throw usage(
      `${url.host} needs a token: --token or FOUNDRITE_TOKEN, from "az account get-access-token --resource https://ai.azure.com --query accessToken -o tsv".`,
    );
  }
  if (/\s/.test(given.trim())) throw usage('--token holds blanks, which no call can bear.');
  const loopback = /^(?:localhost|127\.[\d.]+|\[::1\])$/.test(url.hostname);
  if (url.protocol === 'https:' || loopback) return given.trim();
  throw usage(`--token would be readable on its way to ${url.origin}: use https, or leave it out.`);
}

async function applyOne(target: Target, project: string, manifest: Manifest): Promise<string> {
  const path = `${project}/routines/${encodeURIComponent(manifest.name)}?api-version=v1`;
  const before = await ask(target, 'GET', path);
  if (before.status !== 404 && before.status >= 300) throw refusal(target, manifest, before);
  const after = await ask(target, 'PUT', path, manifest.body);
  if (after.status >= 300) throw refusal(target, manifest, after);
  if (before.status === 404) return 'created';
  return isDeepStrictEqual(lasting(before.body), lasting(after.body)) ? 'unchanged' : 'updated';
}

/** Every PUT is an update to the service, also one that says the same. */
function lasting(body: Answered['body']): object {
  const { updated_at: _, ...rest } = body as Record<string, unknown>;
  return rest;
}

interface Answered {
  status: number;
  foundrite: boolean;
  body: { error?: { message?: string; param?: string | null } };
  text: string;
}

async function ask(target: Target, method: string, path: string, body?: object): Promise<Answered> {
  try {
    const answer = await target.send({
      method,
      path,
      headers: {
        authorization: target.authorization,
        'foundry-features': 'Routines=V1Preview',
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    const text = await answer.text();
    const foundrite = answer.headers.has('x-foundrite-now');
    return { status: answer.status, foundrite, body: jsonOf(text), text };
  } catch (error) {
    throw new NoAnswer(target.name, (error as Error).message);
  }
}

/** What somebody in between says is no JSON. */
function jsonOf(text: string): Answered['body'] {
  try {
    const body: unknown = JSON.parse(text);
    return typeof body === 'object' && body !== null ? body : {};
  } catch {
    return {};
  }
}

function refusal(target: Target, { name, placeOf }: Manifest, answer: Answered): Exit {
  const { status, foundrite, body, text } = answer;
  const said = body.error?.message ?? text.slice(0, 300);
  if (status === 401 || status === 403)
    return new Exit(
      EXIT.refused,
      `${target.name} refuses us: ${status} ${said} (--token, or FOUNDRITE_TOKEN)`,
    );
  if (foundrite && status === 507) return new Exit(EXIT.machine, said);
  if (status >= 500)
    return new Exit(
      foundrite && status === 500 ? EXIT.bug : EXIT.refused,
      `${target.name} answers ${status} to the routine "${name}": ${said}`,
    );
  return usage(`${placeOf(body.error?.param ?? '')}: routine "${name}": ${status} ${said}`);
}
