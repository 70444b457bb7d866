/** Who calls: the managed-identity endpoint that gives tokens to an unmodified DefaultAzureCredential, and the reading of any token. */
import { hash, timingSafeEqual } from 'node:crypto';
import { HOUR, type Instant, isoInstant, SECOND, systemClock, unixSeconds } from './clock.ts';

/** What the token is for. Nothing else is served, so that a mistaken scope is noticed here and not on Azure. */
export const FOUNDRY_AUDIENCE = 'https://ai.azure.com';
/** As long as a real managed identity's token lasts. */
export const TOKEN_MS = 24 * HOUR;

const ISSUER = 'urn:foundrite';
const SUBJECT = 'foundrite';
/** App Service's protocol, the one that azure-identity picks when IDENTITY_ENDPOINT and IDENTITY_HEADER are set. */
const API_VERSION = '2019-08-01';

export interface IdentityOptions {
  /** What `X-IDENTITY-HEADER` must say; without it any value will do, but there must be one. */
  secret?: string | undefined;
  /** The host's instant: clients compare the expiry with their own clock, which no world moves. */
  now?: Instant;
}

/** `GET ?resource=…&api-version=2019-08-01`. Never fails otherwise than by an answer. */
export function answerIdentity(
  request: Request,
  { secret, now = systemClock.now() }: IdentityOptions = {},
): Response {
  const query = new URL(request.url).searchParams;
  const refusal = refusalAt(now);
  const header = request.headers.get('x-identity-header');
  if (!header) {
    return refusal(
      401,
      'identity_header_missing',
      'The header X-IDENTITY-HEADER is missing: send the value of the variable IDENTITY_HEADER with it.',
      'identity/needs-its-header',
    );
  }
  if (secret !== undefined && !isSecret(header, secret)) {
    return refusal(
      401,
      'identity_header_mismatch',
      'The header X-IDENTITY-HEADER is not the one of this emulator: IDENTITY_HEADER comes from another start of it.',
      'identity/needs-its-header',
    );
  }
  const version = query.get('api-version');
  if (version !== API_VERSION) {
    return refusal(
      400,
      'invalid_api_version',
      `api-version is ${version ? `'${version}'` : 'missing'}; this endpoint speaks ${API_VERSION}.`,
    );
  }
  const resource = query.get('resource');
  if (!resource || resource.replace(/\/$/, '') !== FOUNDRY_AUDIENCE) {
    return refusal(
      400,
      'invalid_resource',
      `resource is ${resource ? `'${resource}'` : 'missing'}; Foundrite gives tokens for ${FOUNDRY_AUDIENCE} only ` +
        `(scope ${FOUNDRY_AUDIENCE}/.default). For other Azure services run with --no-identity.`,
      'identity/foundry-audience-only',
    );
  }
  const expiresAt = now + TOKEN_MS;
  return Response.json(
    {
      access_token: foundryToken(now, expiresAt),
      // A string, as App Service sends it: azure-identity for Python, JavaScript and .NET all parse it.
      expires_on: String(unixSeconds(expiresAt)),
      resource,
      token_type: 'Bearer',
    },
    { headers: { 'cache-control': 'no-store', 'x-foundrite-now': isoInstant(now) } },
  );
}

/** App Service's own error shape (statusCode, message), which msal reads, beside the envelope of every other answer. */
function refusalAt(now: Instant) {
  return (status: number, code: string, message: string, rule?: string): Response =>
    Response.json(
      { statusCode: status, message, error: { code, message } },
      {
        status,
        headers: {
          'x-foundrite-now': isoInstant(now),
          ...(rule === undefined ? {} : { 'x-foundrite-rule': rule }),
        },
      },
    );
}

/** Unsigned, and good for every check that an emulator makes. */
export function foundryToken(now: Instant, expiresAt = now + TOKEN_MS): string {
  const part = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url');
  const claims = {
    aud: FOUNDRY_AUDIENCE,
    iss: ISSUER,
    iat: unixSeconds(now),
    nbf: unixSeconds(now - 5 * 60 * SECOND),
    exp: unixSeconds(expiresAt),
    sub: SUBJECT,
  };
  return `${part({ typ: 'JWT', alg: 'none' })}.${part(claims)}.`;
}

export type Principal =
  | { kind: 'none' }
  | {
      kind: 'bearer';
      /** Who the token says it is; for a token that says nothing, a digest of it. */
      principal: string;
      audience?: string;
      /** The token is one of ours. */
      foundrite: boolean;
    };

/** Reads an authorization header without verifying anything: any bearer token is somebody. */
export function principalOf(authorization: string | null | undefined): Principal {
  const header = authorization ?? '';
  let principal = principals.get(header);
  if (!principal) {
    principal = readPrincipal(header);
    if (principals.size >= PRINCIPALS_MAX) principals.clear();
    principals.set(header, principal);
  }
  return principal;
}

/** Clients send one token for an hour: it is read once. */
const principals = new Map<string, Principal>();
const PRINCIPALS_MAX = 1_000;

function readPrincipal(authorization: string): Principal {
  const token = /^bearer +(\S+) *$/i.exec(authorization ?? '')?.[1];
  if (token === undefined) return { kind: 'none' };

  const claims = claimsOf(token);
  const who = [claims.oid, claims.sub, claims.appid].find(
    (claim) => typeof claim === 'string' && claim !== '',
  );
  const audience = Array.isArray(claims.aud) ? claims.aud[0] : claims.aud;
  return {
    kind: 'bearer',
    // Never the token itself: the principal is written to the journal.
    principal: (who as string | undefined) ?? `token-${hash('sha256', token, 'hex').slice(0, 12)}`,
    ...(typeof audience === 'string' ? { audience } : {}),
    foundrite: claims.iss === ISSUER,
  };
}

/** In a time that tells nothing of how much of it is right. */
export function isSecret(given: string, secret: string): boolean {
  const digest = (text: string) => hash('sha256', text, 'buffer');
  return timingSafeEqual(digest(given), digest(secret));
}

function claimsOf(token: string): Record<string, unknown> {
  const payload = token.split('.')[1];
  if (!payload) return {};
  try {
    const claims: unknown = JSON.parse(Buffer.from(payload, 'base64url').toString());
    return typeof claims === 'object' && claims !== null ? (claims as Record<string, unknown>) : {};
  } catch {
    return {};
  }
}
