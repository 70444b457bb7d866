/** Our own certificate authority and the certificate that it signs, made on first start and kept per user. */
import {
  createPrivateKey,
  createPublicKey,
  KeyObject,
  webcrypto,
  X509Certificate,
} from 'node:crypto';
import { chmodSync, linkSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { isIP } from 'node:net';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { DAY, type Instant, systemClock } from './clock.ts';
import { makeFolder } from './folder.ts';
import { randomHex } from './ids.ts';

/** Browsers and Apple's libraries refuse a server certificate that is valid for longer than this. */
export const LEAF_DAYS = 397;
export const AUTHORITY_DAYS = 3650;
/** A certificate with less than this to go is made anew, so that none expires under a running emulator's clients. */
export const RENEW_DAYS = 7;
/** Names are kept when others are added; a certificate with more than this many is started afresh. */
const NAMES_MAX = 64;

/** What every certificate is good for; `--tls-name` adds to it. */
export const CERTIFICATE_NAMES = [
  'localhost',
  '127.0.0.1',
  '::1',
  '*.services.ai.azure.com',
] as const;

export interface Certificate {
  /** PEM of what a client must trust. */
  caPem: string;
  /** Where that PEM lies, if it could be kept. */
  caPath: string | undefined;
  cert: string;
  key: string;
}

/** A certificate and its key in one PEM file, so that no reader ever sees one without the other. */
export interface Pair {
  cert: string;
  key: string;
}

export interface CertificateOptions {
  /** Further names, from `--tls-name`. */
  names?: readonly string[];
  /** The folder that keeps them; see `foundriteHome`. */
  home?: string;
  now?: Instant;
  /** Told when nothing could be kept; the certificate then lives as long as the process. */
  warn?: (message: string) => void;
}

/** The user's own folder: `FOUNDRITE_HOME`, or the place where the system keeps such things. */
export function foundriteHome(
  env: NodeJS.ProcessEnv = process.env,
  platform: string = process.platform,
): string {
  if (env.FOUNDRITE_HOME) return env.FOUNDRITE_HOME;
  if (env.XDG_DATA_HOME) return join(env.XDG_DATA_HOME, 'foundrite');
  if (platform === 'win32' && env.LOCALAPPDATA) return join(env.LOCALAPPDATA, 'Foundrite');
  return join(homedir(), '.foundrite');
}

/** The kept certificate when it serves; else one is made, which alone loads the X.509 library. */
export async function loadCertificate(options: CertificateOptions = {}): Promise<Certificate> {
  const folder = join(options.home ?? foundriteHome(), 'tls');
  const now = options.now ?? systemClock.now();
  const wanted = [...new Set([...CERTIFICATE_NAMES, ...(options.names ?? []).map(normalName)])];
  const files = { authority: join(folder, 'authority.pem'), leaf: join(folder, 'server.pem') };

  const authority = readPair(files.authority);
  const leaf = readPair(files.leaf);
  if (authority && leaf && lasts(authority, now) && lasts(leaf, now)) {
    const signed = isSignedBy(leaf, authority);
    const names = namesOf(leaf);
    if (signed && wanted.every((name) => names.includes(name))) {
      return { caPem: authority.cert, caPath: caFile(folder, authority), ...leaf };
    }
    if (signed && names.length + wanted.length <= NAMES_MAX) wanted.push(...names);
  }
  return make(folder, files, [...new Set(wanted)], now, options.warn ?? (() => {}));
}

/** `--cert` and `--key`: what clients must trust is whatever the file brings along, its last certificate included. */
export function ownCertificate(certPath: string, keyPath: string): Certificate {
  const cert = readFileSync(certPath, 'utf8');
  const key = readFileSync(keyPath, 'utf8');
  return { caPem: cert, caPath: certPath, cert, key };
}

async function make(
  folder: string,
  files: { authority: string; leaf: string },
  names: string[],
  now: Instant,
  warn: (message: string) => void,
): Promise<Certificate> {
  const { makeAuthority, makeLeaf } = await loadMaker();
  try {
    makeFolder(folder);
    const authority = await keptAuthority(files.authority, now, () => makeAuthority(now));
    const leaf = await makeLeaf(authority, names, now);
    replace(files.leaf, pemOf(leaf));
    return { caPem: authority.cert, caPath: caFile(folder, authority), ...leaf };
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === undefined) throw error;
    warn(
      `The certificate could not be kept in ${folder} (${(error as Error).message}); clients must trust a new one ` +
        'after every start. Set FOUNDRITE_HOME to a folder that can be written.',
    );
    const authority = await makeAuthority(now);
    return { caPem: authority.cert, caPath: undefined, ...(await makeLeaf(authority, names, now)) };
  }
}

/** When two processes start at once, the first to link its file wins and the other takes the winner's. */
async function keptAuthority(
  file: string,
  now: Instant,
  makeOne: () => Promise<Pair>,
): Promise<Pair> {
  const there = readPair(file);
  if (there && lasts(there, now)) return there;
  const made = await makeOne();
  const temporary = `${file}.${randomHex(6)}`;
  writeFileSync(temporary, pemOf(made), { mode: 0o600, flag: 'wx' });
  try {
    linkSync(temporary, file);
    return made;
  } catch (error) {
    const winner = (error as NodeJS.ErrnoException).code === 'EEXIST' ? readPair(file) : undefined;
    if (winner && lasts(winner, now)) return winner;
    // Expired or broken, or a file system without links: ours takes its place.
    renameSync(temporary, file);
    return made;
  } finally {
    rmSync(temporary, { force: true });
  }
}

/** The authority's certificate without its key, for `--cacert` and trust stores. */
function caFile(folder: string, authority: Pair): string | undefined {
  const path = join(folder, 'ca.pem');
  try {
    if (read(path) !== authority.cert) replace(path, authority.cert);
    return path;
  } catch {
    return undefined;
  }
}

function replace(path: string, text: string): void {
  const temporary = `${path}.${randomHex(6)}`;
  try {
    writeFileSync(temporary, text, { mode: 0o600, flag: 'wx' });
    renameSync(temporary, path);
    chmodSync(path, 0o600);
  } finally {
    rmSync(temporary, { force: true });
  }
}

function pemOf({ cert, key }: Pair): string {
  return `${key.trim()}\n${cert.trim()}\n`;
}

const CERTIFICATE = /-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g;
const PRIVATE_KEY = /-----BEGIN PRIVATE KEY-----[^-]+-----END PRIVATE KEY-----/;

function readPair(path: string): Pair | undefined {
  const text = read(path);
  const cert = text?.match(CERTIFICATE)?.[0];
  const key = text?.match(PRIVATE_KEY)?.[0];
  return cert && key ? { cert: `${cert}\n`, key: `${key}\n` } : undefined;
}

function read(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return undefined;
  }
}

/** A file that was cut short holds no certificate: then it does not last either. */
function lasts(pair: Pair, now: Instant): boolean {
  try {
    const { validFrom, validTo } = new X509Certificate(pair.cert);
    return Date.parse(validFrom) <= now && now + RENEW_DAYS * DAY < Date.parse(validTo);
  } catch {
    return false;
  }
}

function isSignedBy(leaf: Pair, authority: Pair): boolean {
  const issuer = new X509Certificate(authority.cert);
  const certificate = new X509Certificate(leaf.cert);
  return certificate.checkIssued(issuer) && certificate.verify(issuer.publicKey);
}

function namesOf(pair: Pair): string[] {
  const names = new X509Certificate(pair.cert).subjectAltName ?? '';
  return names.split(', ').map((entry) => normalName(entry.slice(entry.indexOf(':') + 1)));
}

/** Node reads `0:0:0:0:0:0:0:1` from a certificate where the user wrote `::1`. */
function normalName(name: string): string {
  return isIP(name) === 6 ? new URL(`http://[${name}]`).hostname.slice(1, -1) : name.toLowerCase();
}

interface Maker {
  makeAuthority(now: Instant): Promise<Pair>;
  makeLeaf(authority: Pair, names: readonly string[], now: Instant): Promise<Pair>;
}

const ECDSA = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' } as const;

/** The extensions are those that Python 3.13 insists on (VERIFY_X509_STRICT): key identifiers, usages, critical where it matters. */
async function loadMaker(): Promise<Maker> {
  // The library draws its classes from a container that needs this first.
  await import('reflect-metadata');
  const x509 = await import('@peculiar/x509');
  const subtle = webcrypto.subtle;
  const newKeys = () =>
    subtle.generateKey(ECDSA, true, ['sign', 'verify']) as Promise<webcrypto.CryptoKeyPair>;
  const validity = (now: Instant, days: number) => ({
    // A day back, for containers and machines whose clock runs behind.
    notBefore: new Date(now - DAY),
    notAfter: new Date(now + (days - 1) * DAY),
    // Positive, and of the same length always.
    serialNumber: `01${randomHex(15)}`,
    signingAlgorithm: ECDSA,
  });
  const pair = (
    cert: { toString(format: 'pem'): string },
    privateKey: webcrypto.CryptoKey,
  ): Pair => ({
    cert: `${cert.toString('pem').trim()}\n`,
    key: KeyObject.from(privateKey).export({ type: 'pkcs8', format: 'pem' }) as string,
  });

  return {
    async makeAuthority(now) {
      const keys = await newKeys();
      const cert = await x509.X509CertificateGenerator.createSelfSigned({
        ...validity(now, AUTHORITY_DAYS),
        // Its own name each time, so that an old one left in a trust store is told from the new.
        name: `CN=Foundrite local authority ${randomHex(4)}, O=Foundrite (this machine only)`,
        keys,
        extensions: [
          new x509.BasicConstraintsExtension(true, 0, true),
          new x509.KeyUsagesExtension(
            x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign,
            true,
          ),
          await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
        ],
      });
      return pair(cert, keys.privateKey);
    },

    async makeLeaf(authority, names, now) {
      const keys = await newKeys();
      const issuer = new x509.X509Certificate(authority.cert);
      const spki = createPublicKey(createPrivateKey(authority.key)).export({
        type: 'spki',
        format: 'der',
      });
      const pkcs8 = createPrivateKey(authority.key).export({ type: 'pkcs8', format: 'der' });
      const cert = await x509.X509CertificateGenerator.create({
        ...validity(now, LEAF_DAYS),
        subject: 'CN=localhost, O=Foundrite (this machine only)',
        issuer: issuer.subjectName,
        publicKey: keys.publicKey,
        signingKey: await subtle.importKey('pkcs8', pkcs8, ECDSA, false, ['sign']),
        extensions: [
          new x509.BasicConstraintsExtension(false, undefined, true),
          new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
          new x509.ExtendedKeyUsageExtension([x509.ExtendedKeyUsage.serverAuth]),
          await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
          await x509.AuthorityKeyIdentifierExtension.create(
            await subtle.importKey('spki', spki, ECDSA, true, ['verify']),
          ),
          new x509.SubjectAlternativeNameExtension(
            names.map((value) => ({ type: isIP(value) ? 'ip' : 'dns', value })),
          ),
        ],
      });
      return pair(cert, keys.privateKey);
    },
  };
}
