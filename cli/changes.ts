/** What changes in a program's environment so that it finds the emulator, trusts it, and signs in without Azure. Pure. */

/** The agent that project `local` starts with. */
export const DEMO_AGENT = 'demo-agent';
export const LOOPBACK = ['localhost', '127.0.0.1', '::1'];
export const ENDPOINTS = [
  'AZURE_AI_PROJECT_ENDPOINT',
  'FOUNDRY_PROJECT_ENDPOINT',
  'PROJECT_ENDPOINT',
];
/** What the usual clients read: Node, OpenSSL and httpx, requests, curl. */
export const BUNDLE_VARIABLES = [
  'NODE_EXTRA_CA_CERTS',
  'SSL_CERT_FILE',
  'REQUESTS_CA_BUNDLE',
  'CURL_CA_BUNDLE',
];
/** Each of these alone keeps DefaultAzureCredential busy with real Azure for seconds, or leads it past our endpoint. */
export const AZURE_SECRETS = [
  'AZURE_CLIENT_SECRET',
  'AZURE_CLIENT_CERTIFICATE_PATH',
  'AZURE_USERNAME',
  'AZURE_PASSWORD',
  'AZURE_FEDERATED_TOKEN_FILE',
];
/** With it set, IDENTITY_ENDPOINT is taken for Service Fabric's, which speaks another protocol. */
export const SERVICE_FABRIC = 'IDENTITY_SERVER_THUMBPRINT';

/** What we set and do not show. */
const SECRETS = ['IDENTITY_HEADER', 'FOUNDRITE_CONTROL_TOKEN'];

export interface ChangeOptions {
  env: NodeJS.ProcessEnv;
  /** Tokens are fetched in plain HTTP, as on App Service: no trust is needed for them. */
  url: string;
  /** The official clients refuse an endpoint in plain HTTP. */
  httpsUrl: string;
  project: string;
  /** What control calls must bear, if anything. */
  controlToken?: string | undefined;
  bundlePath: string;
  identityHeader: string;
  /** Project `local` has its demo agents. */
  demoAgent: boolean;
  keepAzureEnv: boolean;
  identity: boolean;
}

export interface Changes {
  set: Record<string, string>;
  unset: string[];
}

export function changesFor(options: ChangeOptions): Changes {
  const { env, url, httpsUrl, project, bundlePath } = options;
  const set: Record<string, string> = {};
  const endpoint = `${httpsUrl}/api/projects/${encodeURIComponent(project)}`;
  for (const name of ENDPOINTS) set[name] = endpoint;
  set.FOUNDRITE_URL = url;
  set.FOUNDRITE_PROJECT = project;
  if (options.controlToken !== undefined) set.FOUNDRITE_CONTROL_TOKEN = options.controlToken;
  if (!env.AGENT_NAME && options.demoAgent) set.AGENT_NAME = DEMO_AGENT;
  for (const name of BUNDLE_VARIABLES) set[name] = bundlePath;
  set.NO_PROXY = noProxy(env, new URL(url).hostname.replace(/^\[|\]$/g, ''));
  set.no_proxy = set.NO_PROXY;
  if (!options.identity) return { set, unset: [] };

  set.IDENTITY_ENDPOINT = `${url}/_emulator/identity`;
  set.IDENTITY_HEADER = options.identityHeader;
  if (options.keepAzureEnv) return { set, unset: [] };

  set.AZURE_TOKEN_CREDENTIALS = 'prod';
  return { set, unset: [...AZURE_SECRETS, SERVICE_FABRIC] };
}

/** Both spellings say the same afterwards: a tool that prefers one must not lose what stood in the other. */
function noProxy(env: NodeJS.ProcessEnv, host: string): string {
  const hosts = [env.NO_PROXY, env.no_proxy].flatMap((list) => (list ?? '').split(','));
  const kept = hosts.map((one) => one.trim()).filter((one) => one !== '');
  return [...new Set([...kept, ...LOOPBACK, host])].join(',');
}

export function applyChanges(env: NodeJS.ProcessEnv, { set, unset }: Changes): NodeJS.ProcessEnv {
  const changed = { ...env, ...set };
  for (const name of unset) delete changed[name];
  return changed;
}

/** One line that names every change. Values that were removed may be secrets and are not shown, nor is ours. */
export function describeChanges(env: NodeJS.ProcessEnv, { set, unset }: Changes): string {
  const byValue = new Map<string, string[]>();
  for (const [name, value] of Object.entries(set)) {
    const shown = SECRETS.includes(name) ? '(secret)' : value;
    byValue.set(shown, [...(byValue.get(shown) ?? []), name]);
  }
  const setting = [...byValue].map(([value, names]) => `${names.join(', ')} = ${value}`);
  const removed = unset.filter((name) => env[name] !== undefined);
  return `set ${setting.join('; ')}${removed.length > 0 ? `; unset ${removed.join(', ')}` : ''}`;
}
