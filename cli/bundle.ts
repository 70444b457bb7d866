/** One file of everything that a client should trust: our authority must be added to what it trusts already, never replace it. */
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { getCACertificates, rootCertificates } from 'node:tls';
import { BUNDLE_VARIABLES } from './changes.ts';

/** Where the systems that have such a file keep it. */
const SYSTEM_BUNDLES = [
  '/etc/ssl/certs/ca-certificates.crt',
  '/etc/pki/tls/certs/ca-bundle.crt',
  '/etc/ssl/ca-bundle.pem',
  '/etc/ssl/cert.pem',
];
const CERTIFICATE = /-----BEGIN CERTIFICATE-----([^-]+)-----END CERTIFICATE-----/g;

export interface Bundle {
  pem: string;
  /** Variables that name a file which cannot be read. */
  unreadable: string[];
}

export function mergedBundle(env: NodeJS.ProcessEnv, caPem: string): Bundle {
  const unreadable: string[] = [];
  const users = BUNDLE_VARIABLES.flatMap((name) => {
    const path = env[name];
    if (!path) return [];
    const text = readBundle(path);
    if (text === undefined) unreadable.push(`${name}=${path}`);
    return text === undefined ? [] : [text];
  });

  const certificates = new Map<string, string>();
  // Ours first: a reader that gives up at a certificate that it cannot parse has it by then.
  for (const text of [caPem, ...users, ...systemRoots(), ...rootCertificates]) {
    for (const [pem, body] of text.matchAll(CERTIFICATE)) {
      const key = (body as string).replace(/\s+/g, '');
      if (!certificates.has(key)) certificates.set(key, pem);
    }
  }
  return { pem: `${[...certificates.values()].join('\n')}\n`, unreadable };
}

/** A company's own roots are here: in a file on Linux, in the key store of macOS and Windows. */
function systemRoots(): string[] {
  if (process.platform === 'darwin' || process.platform === 'win32') {
    try {
      return getCACertificates('system');
    } catch {
      return [];
    }
  }
  const texts = SYSTEM_BUNDLES.map(readBundle);
  return texts.filter((text) => text !== undefined).slice(0, 1);
}

/** The certificates of a file, or of a folder, which REQUESTS_CA_BUNDLE may name; undefined if it cannot be read. */
export function readBundle(path: string): string | undefined {
  try {
    if (!statSync(path).isDirectory()) return readFileSync(path, 'utf8');
    const files = readdirSync(path).filter((file) => /\.(pem|crt|cer|\d+)$/.test(file));
    return files.map((file) => readBundle(join(path, file)) ?? '').join('\n');
  } catch {
    return undefined;
  }
}
