/** Routes of the live service that are not emulated: they answer 501, never an invented refusal. */

/** What the official clients' other operations begin with. */
const OTHER_FAMILIES = [
  'agent_insight_monitors',
  'agent_optimization_jobs',
  'connections',
  'data_generation_jobs',
  'datasets',
  'deployments',
  'evaluationrules',
  'evaluations',
  'evaluationtaxonomies',
  'evaluator_generation_jobs',
  'evaluators',
  'files',
  'indexes',
  'insights',
  'memory_stores',
  'models',
  'redTeams',
  'schedules',
  'skills',
  'tasks',
  'toolboxes',
  'vector_stores',
];

/** What an agent's endpoint speaks beside Responses and Invocations. */
const OTHER_PROTOCOLS = ['a2a', 'activity', 'activityprotocol', 'invocations_ws', 'mcp', 'voice'];

/** What the OpenAI client asks a project for beside responses and conversations. */
const OTHER_OPENAI = [
  'audio',
  'batches',
  'chat',
  'completions',
  'containers',
  'embeddings',
  'evals',
  'files',
  'fine_tuning',
  'images',
  'models',
  'moderations',
  'realtime',
  'uploads',
  'vector_stores',
  'videos',
];

const OPENAI = [
  '/openai/v1',
  '/agents/:agent_name/endpoint/protocols/openai',
  '/agents/:agent_name/endpoint/protocols/openai/v1',
];

const ROUTES = [
  'POST /agents:import',
  'POST /agents:generate',
  'POST /agents/:agent_name/import',
  'POST /agents/:agent_name/versions:import',
  ...OPENAI.flatMap((base) => [
    `POST ${base}/responses/compact`,
    `POST ${base}/responses/input_tokens`,
  ]),
];

/** With all that lies below them. */
const TREES = [
  ...OTHER_FAMILIES.map((family) => `/${family}`),
  '/openai/deployments',
  ...OTHER_OPENAI.map((family) => `/openai/v1/${family}`),
  ...OTHER_PROTOCOLS.map((protocol) => `/agents/:agent_name/endpoint/protocols/${protocol}`),
  '/agents/:agent_name/microsoft365',
  '/agents/:agent_name/telephony',
];

export const routesNotEmulated: { method: string; path: string }[] = [
  ...ROUTES.map((route) => {
    const [method = '', path = ''] = route.split(' ');
    return { method, path };
  }),
  ...TREES.flatMap((path) => [
    { method: 'ALL', path },
    { method: 'ALL', path: `${path}/*` },
  ]),
];
