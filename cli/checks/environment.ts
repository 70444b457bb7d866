/** What in the shell's environment keeps programs from the emulator: trust, proxy, credentials, misspelt variables. */

import { shown } from '../../emulator/errors.ts';
import { readBundle } from '../bundle.ts';
import { AZURE_SECRETS, BUNDLE_VARIABLES, ENDPOINTS, SERVICE_FABRIC } from '../changes.ts';
import { isEveryAddress, isLoopback, type StartOptions } from '../options.ts';
import { unknownVariables } from '../variables.ts';
import { type Finding, ok, warning, wrong } from './finding.ts';

const SET_UP =
  'eval "$(npx foundrite env)" sets it up, and foundrite exec -- CMD does for one command';

/** Whether programs that are run from this shell would trust `caPem`; undefined as long as there is no authority. */
export function checkTrust(env: NodeJS.ProcessEnv, caPem: string | undefined): Finding[] {
  if (env.NODE_TLS_REJECT_UNAUTHORIZED === '0')
    return [
      warning(
        'trust',
        'NODE_TLS_REJECT_UNAUTHORIZED is 0: programs of Node trust whoever answers',
        `Unset it: it hides what would fail against Azure. ${SET_UP}.`,
      ),
      ...checkBundles(env, caPem),
    ];
  return checkBundles(env, caPem);
}

function checkBundles(env: NodeJS.ProcessEnv, caPem: string | undefined): Finding[] {
  const set = BUNDLE_VARIABLES.filter((name) => env[name]);
  if (set.length === 0)
    return [
      ok('trust', `${BUNDLE_VARIABLES.join(', ')} are not set; foundrite exec and env set them`),
    ];
  const paths = [...new Set(set.map((name) => env[name] as string))];
  return paths.map((path) => {
    const names = set.filter((name) => env[name] === path).join(', ');
    const bundle = readBundle(path);
    if (bundle === undefined)
      return wrong(
        'trust',
        `${names}: ${path} cannot be read`,
        `Unset what names it, or name a file that is there. ${SET_UP}.`,
      );
    if (caPem === undefined)
      return ok('trust', `${names}: ${path}; there is no authority of ours yet`);
    if (bodies(bundle).includes(bodies(caPem)[0] as string))
      return ok('trust', `${names}: ${path} holds our authority`);
    return warning(
      'trust',
      `${names}: ${path} does not hold our authority`,
      `Programs that go by it will not trust the emulator. ${SET_UP}.`,
    );
  });
}

function bodies(pem: string): string[] {
  const found = pem.matchAll(/-----BEGIN CERTIFICATE-----([^-]+)-----END CERTIFICATE-----/g);
  return [...found].map(([, body = '']) => body.replace(/\s+/g, ''));
}

const PROXIES = ['HTTP_PROXY', 'HTTPS_PROXY', 'ALL_PROXY'];
/** Under what names programs call the emulator: of this machine, and as --host or FOUNDRITE_URL says. */
function namesOf(env: NodeJS.ProcessEnv, { host }: StartOptions): string[] {
  const url = env.FOUNDRITE_URL;
  return [
    ...new Set([
      'localhost',
      '127.0.0.1',
      ...(isLoopback(host) || isEveryAddress(host) ? [] : [host]),
      ...(url && URL.canParse(url) ? [bare(new URL(url).hostname)] : []),
    ]),
  ];
}

function bare(hostname: string): string {
  return hostname.replace(/^\[|\]$/g, '');
}

/** Programs differ in which spelling they prefer, so each that is set must except us. */
export function checkProxy(env: NodeJS.ProcessEnv, options: StartOptions): Finding[] {
  const proxies = PROXIES.flatMap((name) => [name, name.toLowerCase()]).filter((name) => env[name]);
  if (proxies.length === 0) return [ok('proxy', 'none is set')];
  const set = ['NO_PROXY', 'no_proxy'].filter((name) => env[name]);
  const lacking = (set.length === 0 ? ['NO_PROXY'] : set).flatMap((name) => {
    const hosts = (env[name] ?? '').split(',').map((host) => host.trim().replace(/:\d+$/, ''));
    const missing = hosts.includes('*')
      ? []
      : namesOf(env, options).filter((host) => !hosts.includes(host));
    return missing.length === 0 ? [] : [{ name, missing }];
  });
  if (lacking.length === 0)
    return [ok('proxy', `${proxies.join(', ')} set; ${set.join(' and ')} except this machine`)];
  return lacking.map(({ name, missing }) =>
    wrong(
      'proxy',
      `${proxies.join(', ')} set, and ${name} ${env[name] ? `lacks ${missing.join(', ')}` : 'is not'}`,
      `Add it: export ${name}=${[env[name], ...missing].filter(Boolean).join(',')}. ${SET_UP}.`,
    ),
  );
}

/** What leads DefaultAzureCredential past the emulator's identity endpoint. Values may be secrets and are not shown. */
export function checkCredentials(env: NodeJS.ProcessEnv): Finding[] {
  const ours = env.IDENTITY_ENDPOINT?.includes('/_emulator/identity') === true;
  const traps = [...AZURE_SECRETS, SERVICE_FABRIC].filter((name) => env[name]);
  const chosen = env.AZURE_TOKEN_CREDENTIALS?.toLowerCase();
  const foreign = ours ? [] : ['IDENTITY_ENDPOINT', 'MSI_ENDPOINT'].filter((name) => env[name]);
  const findings: Finding[] = [];
  if (traps.length > 0) {
    const found = `${traps.join(', ')} set: DefaultAzureCredential tries real Azure with them first`;
    findings.push(
      ours
        ? wrong('credentials', found, `Unset them here: unset ${traps.join(' ')}.`)
        : warning(
            'credentials',
            found,
            'foundrite exec and env take them away for the programs that they set up.',
          ),
    );
  }
  if (foreign.length > 0)
    findings.push(
      warning(
        'credentials',
        `${foreign.join(', ')} set, and not to the emulator: DefaultAzureCredential gets its token there`,
        `${SET_UP}.`,
      ),
    );
  if (chosen && !['prod', 'managedidentitycredential'].includes(chosen)) {
    const found = `AZURE_TOKEN_CREDENTIALS is ${env.AZURE_TOKEN_CREDENTIALS}, which leaves the identity endpoint out`;
    findings.push(
      (ours ? wrong : warning)('credentials', found, 'Set it to prod, as foundrite env does.'),
    );
  }
  if (findings.length > 0) return findings;
  const found = ours
    ? 'DefaultAzureCredential gets its token from the emulator'
    : 'nothing leads DefaultAzureCredential astray; foundrite exec and env point it at the emulator';
  return [ok('credentials', found)];
}

/** Whether programs that are run from this shell call the emulator that a start with these flags is. */
export function checkEndpoints(env: NodeJS.ProcessEnv, options: StartOptions): Finding[] {
  const set = ENDPOINTS.filter((name) => env[name]);
  if (set.length === 0)
    return [ok('endpoint', `${ENDPOINTS.join(', ')} are not set; foundrite exec and env set them`)];
  const places = [...namesOf(env, options), '::1', ...options.tlsNames];
  const portOf = (url: URL) => Number(url.port || (url.protocol === 'https:' ? 443 : 80));
  const ports = [options.port];
  if (env.FOUNDRITE_URL && URL.canParse(env.FOUNDRITE_URL))
    ports.push(portOf(new URL(env.FOUNDRITE_URL)));
  const elsewhere = set.filter((name) => {
    const written = env[name] as string;
    if (!URL.canParse(written)) return true;
    const url = new URL(written);
    // 0 is any port.
    const here = ports.includes(0) || ports.includes(portOf(url));
    return !here || !places.includes(bare(url.hostname));
  });
  if (elsewhere.length === 0) return [ok('endpoint', `${set.join(', ')} lead to the emulator`)];
  return elsewhere.map((name) =>
    warning(
      'endpoint',
      `${name} is ${shown(env[name])}, which is not the emulator of these flags`,
      `Programs that go by it call that. ${SET_UP}.`,
    ),
  );
}

export function checkVariables(env: NodeJS.ProcessEnv): Finding[] {
  const unknown = unknownVariables(env);
  if (unknown.length === 0) return [ok('variables', 'each FOUNDRITE_* that is set is known')];
  return unknown.map((each) => warning('variables', each, 'Correct its name, or unset it.'));
}
