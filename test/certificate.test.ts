import { execFile, execFileSync } from 'node:child_process';
import { X509Certificate } from 'node:crypto';
import {
  chmodSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect, onTestFinished, test } from 'vitest';
import {
  AUTHORITY_DAYS,
  foundriteHome,
  LEAF_DAYS,
  loadCertificate,
  ownCertificate,
} from '../emulator/certificate.ts';
import { DAY, systemClock } from '../emulator/clock.ts';

function temporaryHome(): string {
  const home = mkdtempSync(join(tmpdir(), 'foundrite-test-'));
  onTestFinished(() => rmSync(home, { recursive: true, force: true }));
  return home;
}

test('a second start takes what the first one made', async () => {
  const home = temporaryHome();

  const first = await loadCertificate({ home });
  const second = await loadCertificate({ home });

  expect(second).toEqual(first);
  expect(readFileSync(first.caPath as string, 'utf8')).toBe(first.caPem);
});

test.skipIf(process.platform === 'win32')('only the user may read what is kept', async () => {
  const home = temporaryHome();

  await loadCertificate({ home });

  const folder = join(home, 'tls');
  expect(statSync(folder).mode & 0o777).toBe(0o700);
  const modes = readdirSync(folder).map((file) => [
    file,
    (statSync(join(folder, file)).mode & 0o777).toString(8),
  ]);
  expect(modes).toEqual([
    ['authority.pem', '600'],
    ['ca.pem', '600'],
    ['server.pem', '600'],
  ]);
});

test('a further name makes a new certificate of the same authority, and later starts keep it', async () => {
  const home = temporaryHome();
  const first = await loadCertificate({ home });

  const named = await loadCertificate({
    home,
    names: ['Foundry.Test', '10.1.2.3', '2001:db8:0::5'],
  });
  const later = await loadCertificate({ home });

  expect(named.caPem).toBe(first.caPem);
  expect(later.cert).toBe(named.cert);
  const certificate = new X509Certificate(named.cert);
  expect(certificate.checkHost('foundry.test')).toBe('foundry.test');
  expect(certificate.checkIP('10.1.2.3')).toBe('10.1.2.3');
  expect(certificate.checkIP('2001:db8::5')).toBe('2001:db8::5');
  expect(certificate.checkHost('x.services.ai.azure.com')).toBe('*.services.ai.azure.com');
});

test('what has expired is made anew: the certificate alone, then its authority', async () => {
  const home = temporaryHome();
  const now = systemClock.now();
  const first = await loadCertificate({ home, now });

  const nextYear = await loadCertificate({ home, now: now + LEAF_DAYS * DAY });
  const nextDecade = await loadCertificate({ home, now: now + AUTHORITY_DAYS * DAY });

  expect(nextYear.caPem).toBe(first.caPem);
  expect(nextYear.cert).not.toBe(first.cert);
  expect(nextDecade.caPem).not.toBe(first.caPem);
  expect(readFileSync(nextDecade.caPath as string, 'utf8')).toBe(nextDecade.caPem);
});

test('a file that was cut short is made anew', async () => {
  const home = temporaryHome();
  await loadCertificate({ home });

  truncateSync(join(home, 'tls', 'authority.pem'), 300);
  truncateSync(join(home, 'tls', 'server.pem'), 300);
  const { cert, caPem } = await loadCertificate({ home });

  expect(new X509Certificate(cert).checkIssued(new X509Certificate(caPem))).toBe(true);
});

test('two processes that start at once agree on one authority', async () => {
  const home = temporaryHome();
  const module = new URL('../emulator/certificate.ts', import.meta.url).href;
  const script = `import { loadCertificate } from ${JSON.stringify(module)};
    process.stdout.write((await loadCertificate({ home: ${JSON.stringify(home)} })).caPem);`;
  const start = () => promisify(execFile)(process.execPath, ['--input-type=module', '-e', script]);

  const [one, two] = await Promise.all([start(), start()]);

  expect(one.stdout).toContain('BEGIN CERTIFICATE');
  expect(two.stdout).toBe(one.stdout);
  expect(readdirSync(join(home, 'tls'))).toEqual(['authority.pem', 'ca.pem', 'server.pem']);
});

test('the library is not loaded when nothing must be made', async () => {
  const home = temporaryHome();
  await loadCertificate({ home });
  const module = new URL('../emulator/certificate.ts', import.meta.url).href;
  const script = `import { loadCertificate } from ${JSON.stringify(module)};
    await loadCertificate({ home: ${JSON.stringify(home)} });
    process.stdout.write(String('getMetadata' in Reflect));`;

  expect(
    execFileSync(process.execPath, ['--input-type=module', '-e', script], { encoding: 'utf8' }),
  ).toBe('false');
});

test('a folder that cannot be written costs a warning, not the start', async () => {
  const home = join(temporaryHome(), 'file');
  writeFileSync(home, 'not a folder');
  const warnings: string[] = [];

  const certificate = await loadCertificate({ home, warn: (message) => warnings.push(message) });

  expect(certificate.caPath).toBeUndefined();
  expect(
    new X509Certificate(certificate.cert).checkIssued(new X509Certificate(certificate.caPem)),
  ).toBe(true);
  expect(warnings.join()).toContain('FOUNDRITE_HOME');
});

test("one's own certificate is taken as it is", async () => {
  const home = temporaryHome();
  const made = await loadCertificate({ home });
  const [cert, key] = [join(home, 'my.crt'), join(home, 'my.key')];
  writeFileSync(cert, made.cert);
  writeFileSync(key, made.key);
  chmodSync(key, 0o600);

  expect(ownCertificate(cert, key)).toEqual({
    cert: made.cert,
    key: made.key,
    caPem: made.cert,
    caPath: cert,
  });
});

test('the home folder is where the system keeps such things', () => {
  expect(foundriteHome({ FOUNDRITE_HOME: '/f', XDG_DATA_HOME: '/x' }, 'linux')).toBe('/f');
  expect(foundriteHome({ XDG_DATA_HOME: '/x' }, 'linux')).toBe(join('/x', 'foundrite'));
  expect(foundriteHome({ LOCALAPPDATA: '/l' }, 'win32')).toBe(join('/l', 'Foundrite'));
  expect(foundriteHome({}, 'linux')).toMatch(/\.foundrite$/);
});

const openssl = runs('openssl', ['version']);
test.skipIf(!openssl)('openssl finds the chain good under its strict rules', async () => {
  const home = temporaryHome();
  await loadCertificate({ home });
  const folder = join(home, 'tls');

  const verify = [
    'verify',
    '-x509_strict',
    '-purpose',
    'sslserver',
    '-CAfile',
    join(folder, 'ca.pem'),
  ];
  const said = execFileSync('openssl', [...verify, join(folder, 'server.pem')], {
    encoding: 'utf8',
  });

  expect(said).toContain('OK');
});

const python = runs('python3', ['-c', 'import ssl; ssl.VERIFY_X509_STRICT']);
test.skipIf(!python)(
  "Python's strict checks, on by default since 3.13, pass for every name",
  async () => {
    const home = temporaryHome();
    const { caPath } = await loadCertificate({ home });
    // Both ends in memory: no port, no thread.
    const script = `
import ssl, sys
server_side = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
server_side.load_cert_chain(sys.argv[2])
for name in ("localhost", "127.0.0.1", "::1", "x.services.ai.azure.com"):
    client_side = ssl.create_default_context(cafile=sys.argv[1])
    client_side.verify_flags |= ssl.VERIFY_X509_STRICT | ssl.VERIFY_X509_PARTIAL_CHAIN
    up, down = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = client_side.wrap_bio(down, up, server_hostname=name)
    server = server_side.wrap_bio(up, down, server_side=True)
    done = set()
    for _ in range(10):
        for end in (client, server):
            try:
                end.do_handshake(); done.add(end)
            except ssl.SSLWantReadError:
                pass
    assert client in done and server in done
    print(name, client.version())
`;

    const said = execFileSync(
      'python3',
      ['-c', script, caPath as string, join(home, 'tls', 'server.pem')],
      {
        encoding: 'utf8',
      },
    );

    expect(said.trim().split('\n')).toHaveLength(4);
  },
);

function runs(command: string, args: string[]): boolean {
  try {
    execFileSync(command, args, { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}
