/** The certificate: one's own by --cert and --key, or ours with its authority, as they are kept for this user. */
import { X509Certificate } from 'node:crypto';
import { existsSync, readFileSync, statSync } from 'node:fs';
import { isIP } from 'node:net';
import { dirname, join } from 'node:path';
import { CERTIFICATE_NAMES, foundriteHome, RENEW_DAYS } from '../../emulator/certificate.ts';
import { DAY, systemClock } from '../../emulator/clock.ts';
import { ownPair } from '../launch.ts';
import type { StartOptions } from '../options.ts';
import { type Finding, ok, warning, wrong } from './finding.ts';
import { writeRefused } from './folder.ts';

export interface CertificateChecked {
  findings: Finding[];
  /** What clients must trust, if it is there already. */
  caPem?: string;
}

export function checkCertificate(
  options: StartOptions,
  env: NodeJS.ProcessEnv,
): CertificateChecked {
  if (options.cert !== undefined && options.key !== undefined) return checkOwn(options);
  const folder = join(foundriteHome(env), 'tls');
  const paths = [join(folder, 'authority.pem'), join(folder, 'server.pem')] as const;
  if (!existsSync(paths[0])) return { findings: [checkHome(folder)] };
  const [authority, leaf] = paths.map(readCertificate);
  if (!authority || !leaf) {
    const broken = paths[authority ? 1 : 0];
    return {
      findings: [
        warning(
          'certificate',
          `${broken} ${existsSync(broken) ? 'holds no certificate' : 'is not there'}`,
          authority
            ? 'The next start makes it anew.'
            : 'The next start makes a new authority; programs that trusted the old one must trust the new: eval "$(npx foundrite env)".',
        ),
      ],
    };
  }
  const findings = [
    ...paths.flatMap(checkMode),
    ...checkSpan(paths[0], authority, 'a new authority, which programs must trust again'),
    ...checkSpan(paths[1], leaf, 'a new certificate of the same authority'),
    ...checkSigned(paths[1], leaf, authority),
    ...checkNames(leaf, options.tlsNames),
  ];
  const good = `kept in ${folder}, good until ${day(leaf)} (its authority until ${day(authority)}), for ${namesOf(leaf).join(', ')}`;
  return {
    findings: findings.length > 0 ? findings : [ok('certificate', good)],
    caPem: authority.toString(),
  };
}

/** Nothing is kept yet: it must be possible to. */
function checkHome(folder: string): Finding {
  let there = folder;
  while (!existsSync(there) && there !== dirname(there)) there = dirname(there);
  const refused = statSync(there).isDirectory() ? writeRefused(there) : 'it is a file';
  return refused
    ? warning(
        'certificate',
        `none can be kept in ${folder}: ${there} cannot be written (${refused})`,
        'Set FOUNDRITE_HOME to a folder that can be written; else programs must trust a new authority after every start.',
      )
    : ok('certificate', `none yet; the first start makes one in ${folder}`);
}

function checkOwn({ cert, key, tlsNames }: StartOptions): CertificateChecked {
  let own: { cert: string };
  try {
    own = ownPair(cert as string, key as string);
  } catch (error) {
    const message = (error as Error).message.replace(/\.$/, '');
    return {
      findings: [wrong('certificate', message, 'Name a certificate and its key, PEM both.')],
    };
  }
  const leaf = new X509Certificate(own.cert);
  const ended = leaf.validToDate.getTime() <= systemClock.now();
  const early = leaf.validFromDate.getTime() > systemClock.now();
  const missing = [...CERTIFICATE_NAMES.slice(0, 2), ...tlsNames].filter(
    (name) => !serves(leaf, name),
  );
  const findings: Finding[] = [];
  if (ended || early)
    findings.push(
      wrong(
        'certificate',
        `${cert} is good from ${leaf.validFrom} to ${leaf.validTo}, and not now`,
        'Have it made anew, or leave out --cert and --key: Foundrite makes its own.',
      ),
    );
  if (missing.length > 0)
    findings.push(
      warning(
        'certificate',
        `${cert} is not for ${missing.join(', ')}`,
        'Programs that call the emulator by these names refuse it: call it by one that it is for, or have it made for these.',
      ),
    );
  const good = `${cert}, good until ${day(leaf)}, for ${namesOf(leaf).join(', ')}`;
  return { findings: findings.length > 0 ? findings : [ok('certificate', good)], caPem: own.cert };
}

/** Whoever can read the authority's key can make certificates that this user's programs trust. */
function checkMode(path: string): Finding[] {
  const mode = statSync(path).mode & 0o777;
  if (process.platform === 'win32' || (mode & 0o077) === 0) return [];
  return [
    wrong(
      'certificate',
      `${path} holds a key and has mode ${mode.toString(8)}: others can read it`,
      `chmod 600 ${path}. If others may have read it: remove ${dirname(path)}, and a start makes all anew.`,
    ),
  ];
}

function checkSpan(path: string, certificate: X509Certificate, what: string): Finding[] {
  const now = systemClock.now();
  const from = certificate.validFromDate.getTime();
  const to = certificate.validToDate.getTime();
  if (from <= now && now + RENEW_DAYS * DAY < to) return [];
  const found = `${path} is good from ${certificate.validFrom} to ${certificate.validTo}`;
  return [warning('certificate', found, `The next start makes ${what}.`)];
}

function checkSigned(path: string, leaf: X509Certificate, authority: X509Certificate): Finding[] {
  if (leaf.checkIssued(authority) && leaf.verify(authority.publicKey)) return [];
  return [
    warning(
      'certificate',
      `${path} was signed by another authority than the one beside it`,
      'The next start makes it anew. An emulator that runs already must be started again.',
    ),
  ];
}

function checkNames(leaf: X509Certificate, tlsNames: readonly string[]): Finding[] {
  const missing = [...CERTIFICATE_NAMES, ...tlsNames].filter((name) => !serves(leaf, name));
  if (missing.length === 0) return [];
  const found = `the certificate is not for ${missing.join(', ')} yet`;
  return [warning('certificate', found, 'The next start with these names makes it anew.')];
}

function serves(leaf: X509Certificate, name: string): boolean {
  if (isIP(name) !== 0) return leaf.checkIP(name) !== undefined;
  return leaf.checkHost(name.replace(/^\*\./, 'any.')) !== undefined;
}

function namesOf(leaf: X509Certificate): string[] {
  return (leaf.subjectAltName ?? '').split(', ').map((name) => name.replace(/^[^:]*:/, ''));
}

function day(certificate: X509Certificate): string {
  return certificate.validToDate.toISOString().slice(0, 10);
}

/** Both of our files hold a key, too; Node reads the first certificate of a text. */
function readCertificate(path: string): X509Certificate | undefined {
  try {
    const text = readFileSync(path, 'utf8');
    return new X509Certificate(text.slice(text.indexOf('-----BEGIN CERTIFICATE')));
  } catch {
    return undefined;
  }
}
