/** What in the shell's environment keeps programs from the emulator: trust, proxy, credentials, misspelt variables. */

import { readBundle } from '../bundle.ts';
import { AZURE_SECRETS, BUNDLE_VARIABLES, SERVICE_FABRIC } from '../changes.ts';
import { unknownVariables } from '../variables.ts';
import { type Finding, ok, warning, wrong } from './finding.ts';

const SET_UP =
  'eval "$(npx foundrite env)" sets it up, and foundrite exec -- CMD does for one command';

/** Whether programs that are run from this shell would trust `caPem`; undefined as long as there is no authority. */
export function checkTrust(env: NodeJS.ProcessEnv, caPem: string | undefined): Finding[] {
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
/** Under what name programs call the emulator. */
const NEEDED = ['localhost', '127.0.0.1'];

/** Programs differ in which spelling they prefer, so each that is set must except us. */
export function checkProxy(env: NodeJS.ProcessEnv): Finding[] {
  const proxies = PROXIES.flatMap((name) => [name, name.toLowerCase()]).filter((name) => env[name]);
  if (proxies.length === 0) return [ok('proxy', 'none is set')];
  const set = ['NO_PROXY', 'no_proxy'].filter((name) => env[name]);
  const lacking = (set.length === 0 ? ['NO_PROXY'] : set).flatMap((name) => {
    const hosts = (env[name] ?? '').split(',').map((host) => host.trim().replace(/:\d+$/, ''));
    const missing = hosts.includes('*') ? [] : NEEDED.filter((host) => !hosts.includes(host));
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
  if (ours && chosen && !['prod', 'managedidentitycredential'].includes(chosen))
    findings.push(
      wrong(
        'credentials',
        `AZURE_TOKEN_CREDENTIALS is ${env.AZURE_TOKEN_CREDENTIALS}, which leaves the identity endpoint out`,
        'Set it to prod, as foundrite env does.',
      ),
    );
  if (findings.length > 0) return findings;
  const found = ours
    ? 'DefaultAzureCredential gets its token from the emulator'
    : 'nothing leads DefaultAzureCredential astray; foundrite exec and env point it at the emulator';
  return [ok('credentials', found)];
}

export function checkVariables(env: NodeJS.ProcessEnv): Finding[] {
  const unknown = unknownVariables(env);
  if (unknown.length === 0) return [ok('variables', 'each FOUNDRITE_* that is set is known')];
  return unknown.map((each) => warning('variables', each, 'Correct its name, or unset it.'));
}
