import { expect, test } from 'vitest';
import { answerIdentity, FOUNDRY_AUDIENCE, principalOf, TOKEN_MS } from '../emulator/identity.ts';

const NOW = Date.parse('2026-06-01T07:00:00Z');

function ask(
  query: string,
  header: string | null = 'secret',
  secret: string | undefined = 'secret',
): Response {
  const headers = header === null ? {} : { 'x-identity-header': header };
  return answerIdentity(new Request(`http://127.0.0.1/_emulator/identity?${query}`, { headers }), {
    secret,
    now: NOW,
  });
}

const GOOD = 'resource=https://ai.azure.com&api-version=2019-08-01';

test('a token for the Foundry audience comes in the words of App Service', async () => {
  const answer = ask(GOOD);
  const body = (await answer.json()) as Record<string, string>;

  expect(answer.status).toBe(200);
  expect(body).toEqual({
    access_token: expect.stringMatching(/^[\w-]+\.[\w-]+\.$/),
    expires_on: String((NOW + TOKEN_MS) / 1000),
    resource: 'https://ai.azure.com',
    token_type: 'Bearer',
  });
  const claims = JSON.parse(
    Buffer.from(body.access_token?.split('.')[1] ?? '', 'base64url').toString(),
  );
  expect(claims).toMatchObject({
    aud: FOUNDRY_AUDIENCE,
    sub: 'foundrite',
    exp: (NOW + TOKEN_MS) / 1000,
  });
});

test('the trailing slash of a resource makes no difference', async () => {
  const answer = ask('resource=https%3A%2F%2Fai.azure.com%2F&api-version=2019-08-01');

  expect(answer.status).toBe(200);
  // The client keeps the token under the name by which it asked.
  expect(await answer.json()).toMatchObject({ resource: 'https://ai.azure.com/' });
});

test('a user-assigned identity is served the same', () => {
  expect(ask(`${GOOD}&client_id=11111111-2222-3333-4444-555555555555`).status).toBe(200);
});

test.each([
  [
    'another audience',
    'resource=https://vault.azure.net&api-version=2019-08-01',
    'secret',
    400,
    'invalid_resource',
  ],
  [
    'a scope for a resource',
    'resource=https://ai.azure.com/.default&api-version=2019-08-01',
    'secret',
    400,
    'invalid_resource',
  ],
  ['no resource', 'api-version=2019-08-01', 'secret', 400, 'invalid_resource'],
  [
    'another version',
    'resource=https://ai.azure.com&api-version=2017-09-01',
    'secret',
    400,
    'invalid_api_version',
  ],
  ['no header', GOOD, null, 401, 'identity_header_missing'],
  ['another header', GOOD, 'other', 401, 'identity_header_mismatch'],
] as const)('%s is refused with a reason', async (_what, query, header, status, code) => {
  const answer = ask(query, header);

  expect(answer.status).toBe(status);
  expect(await answer.json()).toMatchObject({
    statusCode: status,
    message: expect.any(String),
    error: { code },
  });
});

test('without a secret any header will do', () => {
  const request = new Request(`http://127.0.0.1/?${GOOD}`, {
    headers: { 'x-identity-header': 'whatever' },
  });

  expect(answerIdentity(request, { now: NOW }).status).toBe(200);
});

test('our own token is somebody, and known to be ours', async () => {
  const { access_token: token } = (await ask(GOOD).json()) as { access_token: string };

  expect(principalOf(`Bearer ${token}`)).toEqual({
    kind: 'bearer',
    principal: 'foundrite',
    audience: FOUNDRY_AUDIENCE,
    foundrite: true,
  });
});

test('a token of Entra is known by its object id', () => {
  const payload = Buffer.from(
    JSON.stringify({ oid: 'o-1', sub: 's-1', aud: ['https://ai.azure.com/', 'x'] }),
  );

  expect(principalOf(`bearer e30.${payload.toString('base64url')}.sig`)).toEqual({
    kind: 'bearer',
    principal: 'o-1',
    audience: 'https://ai.azure.com/',
    foundrite: false,
  });
});

test('a token that says nothing is told from others, and never shown', () => {
  const [one, again, other] = ['dummy-token', 'dummy-token', 'another'].map((token) =>
    principalOf(`Bearer ${token}`),
  );

  expect(one).toEqual(again);
  expect(one).not.toEqual(other);
  expect(JSON.stringify(one)).not.toContain('dummy-token');
});

test.each([null, undefined, '', 'Bearer', 'Bearer ', 'Basic dTpw', 'api-key'])(
  '%j is nobody',
  (header) => {
    expect(principalOf(header)).toEqual({ kind: 'none' });
  },
);

test.each(['a.b.c', 'a.bnVsbA.c', 'a.Ww.c', '..', 'a.'])(
  'the token %j is read without failing',
  (token) => {
    expect(principalOf(`Bearer ${token}`)).toMatchObject({ kind: 'bearer', foundrite: false });
  },
);
