/** Who may ask, and which operation is meant. */
import type { Emulated } from '../emulator.ts';
import { ApiError } from '../errors.ts';
import { principalOf } from '../identity.ts';
import type { Project } from '../projects.ts';
import { type AppContext, decode, rawPath } from './http.ts';
import type { Input, Operation } from './input.ts';

const VERB = /:([a-z_]+)$/;
/** Where a name cannot hold a colon, an encoded one begins a verb too (contract/agents.md 1). */
const ENCODED_VERB = /(?::|%3A)([a-z_]+)$/i;

/** The operations of one method and path, which differ in their verb. */
export interface Route {
  operations: Operation[];
  verbs: string[];
  /** Where in a raw path, cut at its slashes, each parameter stands. */
  params: { index: number; name: string; last: boolean }[];
}

/** `/api/projects/{project}` before the path of an operation. */
const SEGMENTS_BEFORE = 4;

export function routeOf(path: string, operations: Operation[]): Route {
  const template = path.split('/').slice(1);
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
    const form = name === 'routine_name' ? VERB : ENCODED_VERB;
    const match = last && route.verbs.length > 0 ? form.exec(segment) : null;
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

/** What assistants, threads and runs were published under (contract/threads.md 2). */
const VERSIONS_OF_THREADS = ['v1', '2025-05-01', '2025-05-15-preview'];

export function requireVersionAndHeader(input: Input, operation: Operation): void {
  const { switches } = input.project.world.profile;
  const { require_api_version, unknown_api_version, require_preview_header } = switches;
  const version = input.query.get('api-version');
  // The project's own OpenAI routes have their version in the path (contract/agents.md 1).
  const inPath = operation.path.startsWith('/openai/v1/');
  if (!version && require_api_version === 'on' && !inPath) {
    throw new ApiError({
      status: 400,
      code: 'BadRequest',
      message: 'Missing required query parameter: api-version',
      param: 'api-version',
      rule: 'request/api-version',
    });
  }
  if (version && inPath && switches.openai_v1_api_version === 'refuse') {
    throw new ApiError({
      status: 400,
      code: 'BadRequest',
      message: 'api-version query parameter is not allowed when using /v1 path',
      param: 'api-version',
      rule: 'response/project-api-version',
    });
  }
  const known = /^\/(?:assistants|threads)/.test(operation.path) ? VERSIONS_OF_THREADS : ['v1'];
  if (version && !known.includes(version) && unknown_api_version === 'refuse') {
    throw new ApiError({
      status: 400,
      code: 'BadRequest',
      message: `The api-version '${version}' is not known. Use ${known.join(' or ')}.`,
      param: 'api-version',
      rule: 'request/api-version-known',
    });
  }
  if (require_preview_header === 'off') return;
  if (operation.path.startsWith('/routines')) requireRoutinesFeature(input);
  else requireFeatures(input, FEATURES_OF[operation.id] ?? []);
}

function requireRoutinesFeature(input: Input): void {
  if (featuresIn(input).has('Routines=V1Preview')) return;
  throw new ApiError({
    status: 404,
    code: 'not_found',
    message: "Routines are in preview. Send the header 'Foundry-Features: Routines=V1Preview'.",
    param: 'Foundry-Features',
    rule: 'request/preview-header',
  });
}

/** A comma list; what is not known in it is nobody's concern. */
function featuresIn({ headers }: Input): Set<string> {
  const list = (headers.get('foundry-features') ?? '').split(',');
  return new Set(list.map((feature) => feature.trim()));
}

/** What a caller opts in to, by its key in the header, as the refusal calls it (contract/agents.md 2.1). */
const FEATURES = {
  HostedAgents: 'Hosted agents',
  WorkflowAgents: 'Workflow agents',
  ExternalAgents: 'External agents',
  DraftAgents: 'Draft agents',
  AgentEndpoints: 'Agent endpoints',
  CodeAgents: 'Code agents',
} as const;

type Feature = keyof typeof FEATURES;

/** Operations that were in preview whatever they are asked (contract/agents.md 2.2). */
const FEATURES_OF: Record<string, readonly Feature[]> = {
  patchAgent: ['AgentEndpoints'],
  createSession: ['AgentEndpoints'],
  listSessions: ['AgentEndpoints'],
  getSession: ['AgentEndpoints'],
  deleteSession: ['AgentEndpoints'],
  stopSession: ['AgentEndpoints'],
  putSessionFile: ['HostedAgents'],
  getSessionFile: ['HostedAgents'],
  listSessionFiles: ['HostedAgents'],
  deleteSessionFile: ['HostedAgents'],
  makeSessionFolder: ['HostedAgents'],
  statSessionFile: ['HostedAgents'],
  streamVersionSessionLogs: ['HostedAgents'],
  createAgentInvocation: ['HostedAgents'],
  getAgentInvocation: ['HostedAgents'],
  cancelAgentInvocation: ['HostedAgents'],
  getAgentInvocationDocs: ['HostedAgents'],
  downloadAgentCode: ['CodeAgents'],
  downloadAgentVersionCode: ['CodeAgents'],
};

const FEATURE_OF_KIND: Record<string, Feature | undefined> = {
  hosted: 'HostedAgents',
  workflow: 'WorkflowAgents',
  external: 'ExternalAgents',
};

/** For operations that make versions: which features they need depends on what is made. */
export function requireFeaturesOf(
  input: Input,
  { kind, draft, code }: { kind: string; draft: boolean; code: boolean },
): void {
  const ofKind = FEATURE_OF_KIND[kind];
  const needed: Feature[] = ofKind === undefined ? [] : [ofKind];
  if (code) needed.push('CodeAgents');
  if (draft) needed.push('DraftAgents');
  requireFeatures(input, needed);
}

function requireFeatures(input: Input, needed: readonly Feature[]): void {
  if (input.project.world.profile.switches.require_preview_header === 'off') return;
  const sent = featuresIn(input);
  const missing = needed.filter((feature) => !sent.has(`${feature}=V1Preview`));
  const [first] = missing;
  if (first === undefined) return;
  const keys = missing.map((feature) => `${feature}=V1Preview`).join(',');
  throw new ApiError({
    status: 403,
    code: 'preview_feature_required',
    message: `${FEATURES[first]} is in preview. This operation requires the following opt-in preview feature(s): ${keys}. Include the 'Foundry-Features: ${keys}' header in your request.`,
    param: 'Foundry-Features',
    rule: 'agent/preview-header',
  });
}
