/** Who may ask, and which operation is meant. */
import type { Emulated } from '../emulator.ts';
import { ApiError } from '../errors.ts';
import { principalOf } from '../identity.ts';
import type { Project } from '../projects.ts';
import { type AppContext, decode, rawPath } from './http.ts';
import type { Input, Operation } from './input.ts';

const VERB = /:([a-z_]+)$/;

/** The operations of one method and path, which differ in their verb. */
export interface Route {
  operations: Operation[];
  verbs: string[];
  /** Where in a raw path, cut at its slashes, each parameter stands. */
  params: { index: number; name: string; last: boolean }[];
}

/** `/api/projects/{project}` before the path of an operation. */
const SEGMENTS_BEFORE = 4;

export function routeOf(operations: Operation[]): Route {
  const template = operations[0]?.path.split('/').slice(1) ?? [];
  return {
    operations,
    verbs: operations.flatMap(({ verb }) => (verb === undefined ? [] : [verb])),
    params: template.flatMap((part, index) =>
      part.startsWith(':')
        ? [
            {
              index: index + SEGMENTS_BEFORE,
              name: part.slice(1),
              last: index === template.length - 1,
            },
          ]
        : [],
    ),
  };
}

/** Which of the operations of one route is meant, and its decoded parameters. */
export function choose(
  c: AppContext,
  route: Route,
  segments: string[],
): { operation: Operation; params: Record<string, string> } {
  const params: Record<string, string> = {};
  let verb: string | undefined;
  for (const { index, name, last } of route.params) {
    let segment = segments[index] ?? '';
    const match = last && route.verbs.length > 0 ? VERB.exec(segment) : null;
    if (match?.[1] !== undefined && route.verbs.includes(match[1])) {
      verb = match[1];
      segment = segment.slice(0, match.index);
    }
    params[name] = decode(segment);
  }
  const operation = route.operations.find((candidate) => candidate.verb === verb);
  if (operation) return { operation, params };
  const wanted = route.verbs.map((candidate) => `:${candidate}`).join(', ');
  throw new ApiError({
    status: 404,
    code: 'unknown_route',
    message: `There is no route ${c.req.method} ${rawPath(c.req.url)}. Known verbs are ${wanted}.`,
    rule: 'request/route-known',
  });
}

/** Any bearer token will do, unless the audience is checked; an api-key never does (seed 004). */
export function requireToken(
  c: AppContext,
  emulated: Emulated,
  project: Project | undefined,
): string {
  const principal = principalOf(c.req.header('authorization'));
  const checked =
    (project?.world.profile ?? emulated.profile).switches.token_audience === 'checked';
  const wrongAudience =
    checked &&
    principal.kind === 'bearer' &&
    principal.audience?.replace(/\/$/, '') !== 'https://ai.azure.com';
  if (principal.kind === 'bearer' && !wrongAudience) return principal.principal;
  throw new ApiError({
    status: 401,
    code: 'Unauthorized',
    message:
      'Unauthorized. Access token is missing, invalid, audience is incorrect (https://ai.azure.com), or have expired.',
    rule: wrongAudience ? 'request/token-audience' : 'request/bearer-token',
    headers: { 'www-authenticate': 'Bearer' },
  });
}

export function requireVersionAndHeader(input: Input, operation: Operation): void {
  const { require_api_version, unknown_api_version, require_preview_header } =
    input.project.world.profile.switches;
  const version = input.query.get('api-version');
  if (!version && require_api_version === 'on') {
    throw new ApiError({
      status: 400,
      code: 'BadRequest',
      message: 'Missing required query parameter: api-version',
      param: 'api-version',
      rule: 'request/api-version',
    });
  }
  if (version && version !== 'v1' && unknown_api_version === 'refuse') {
    throw new ApiError({
      status: 400,
      code: 'BadRequest',
      message: `The api-version '${version}' is not known. Use v1.`,
      param: 'api-version',
      rule: 'request/api-version-known',
    });
  }
  if (require_preview_header === 'off' || !operation.path.startsWith('/routines')) return;
  const features = (input.headers.get('foundry-features') ?? '')
    .split(',')
    .map((feature) => feature.trim());
  if (features.includes('Routines=V1Preview')) return;
  throw new ApiError({
    status: 404,
    code: 'not_found',
    message: "Routines are in preview. Send the header 'Foundry-Features: Routines=V1Preview'.",
    param: 'Foundry-Features',
    rule: 'request/preview-header',
  });
}
