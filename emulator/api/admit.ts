/** Who may ask, and which operation is meant. */
import type { Emulated } from '../emulator.ts';
import { ApiError } from '../errors.ts';
import { principalOf } from '../identity.ts';
import type { Project } from '../projects.ts';
import { type AppContext, decode, rawPath } from './http.ts';
import type { Input, Operation } from './input.ts';

const VERB = /:([a-z_]+)$/;

/** Which of the operations of one route is meant, and its decoded parameters. */
export function choose(
  c: AppContext,
  operations: Operation[],
  path: string,
): { operation: Operation; params: Record<string, string> } {
  const raw = rawPath(c.req.url).split('/').slice(4);
  const template = path.split('/').slice(1);
  const verbs = operations.filter((operation) => operation.verb !== undefined);
  const params: Record<string, string> = {};
  let verb: string | undefined;
  for (const [index, part] of template.entries()) {
    if (!part.startsWith(':')) continue;
    let segment = raw[index] ?? '';
    const last = index === template.length - 1;
    const match = last && verbs.length > 0 ? VERB.exec(segment) : null;
    if (match && verbs.some((operation) => operation.verb === match[1])) {
      verb = match[1];
      segment = segment.slice(0, match.index);
    }
    params[part.slice(1)] = decode(segment);
  }
  const operation = operations.find((candidate) => candidate.verb === verb);
  if (operation) return { operation, params };
  const wanted = verbs.map((candidate) => `:${candidate.verb}`).join(', ');
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
