/** What a control call is given, and the turn that it makes. */

import type { Emulated } from '../emulator.ts';
import { invalid } from '../errors.ts';
import { principalOf } from '../identity.ts';
import type { Project } from '../projects.ts';
import type { AppContext } from './http.ts';

/** What a control call is given. */
export interface Controlled {
  c: AppContext;
  emulated: Emulated;
  params: Record<string, string>;
  body: unknown;
}

/** As long as a routine's name may be; the service's own limit is not public. */
const PROJECT_NAME_MAX = 128;

export function projectOf(call: Controlled): Project {
  return call.emulated.projects.get(readProjectName(call.params.p ?? ''));
}

export function readProjectName(name: string): string {
  if (name.length > 0 && name.length <= PROJECT_NAME_MAX) return name;
  throw invalid(
    `A project's name has 1 to ${PROJECT_NAME_MAX} characters; this one has ${name.length}. Shorten it.`,
    'project',
    'control/project-name-max-128',
  );
}

/** One control turn: the change and its journal line, which replay reads as an input. */
export function controlTurn<T>(
  call: Controlled,
  project: Project,
  operation: string,
  work: () => T,
): T {
  const { world, engine } = project;
  return world.turn(() => {
    const line = world.reserveLine();
    const result = work();
    const { p: _, ...params } = call.params;
    const data: Record<string, unknown> = { operation, params };
    if (call.body !== undefined) data.body = call.body;
    if (engine.advancing) data.interleaved = true;
    const extra = { principal: principalOf(call.c.req.header('authorization')).kind };
    world.record({ kind: 'control', data, extra }, line);
    return result;
  });
}
