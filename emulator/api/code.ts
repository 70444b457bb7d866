/** The code of agents: how it comes, beside the definition that runs it, and how it is fetched again (contract/agents.md 5.3). */
import { createHash } from 'node:crypto';
import { ApiError, invalid, shown } from '../errors.ts';
import { readCode } from '../store/code.ts';
import { readJsonBytes } from './body.ts';
import { existingAgent, existingVersion, nameOf } from './existing.ts';
import type { Answer, Input, Operation } from './input.ts';

/** Beside the zip a form holds its metadata, and the lines that part them. */
const FORM_BYTES_MAX = 262_144_000 + 16 * 1024 * 1024;

/** What an operation says of its body that takes a definition as JSON, or in a form with its code. */
export const UPLOAD = {
  body: 'form',
  bodyMax: { bytes: FORM_BYTES_MAX, rule: 'code/size-max' },
} as const satisfies Partial<Operation>;

export const codeOperations: Operation[] = [
  {
    id: 'downloadAgentCode',
    method: 'GET',
    path: '/agents/:agent_name/code:download',
    kind: 'read',
    handle: (input) => download(input, input.query.get('agent_version') || undefined),
  },
  {
    id: 'downloadAgentVersionCode',
    method: 'GET',
    path: '/agents/:agent_name/versions/:agent_version/code:download',
    kind: 'read',
    handle: (input) => download(input, input.params.agent_version),
  },
];

export interface Code {
  /** Hex, in lower case. */
  sha256: string;
  zip: Buffer;
}

export interface Upload {
  /** The definition and what stands beside it. */
  body: unknown;
  /** Undefined where the body was JSON. */
  code: Code | undefined;
}

export function readUpload(input: Input): Upload {
  const said = readDigest(input);
  if (input.bytes === undefined) return { body: input.body, code: undefined };
  const metadata = input.parts?.get('metadata');
  const zip = input.parts?.get('code');
  if (!metadata || !zip)
    throw invalid(
      'An upload is multipart/form-data with two parts: metadata, which is JSON, and code, which is a zip.',
      metadata ? 'code' : 'metadata',
      'code/parts',
    );
  return { body: readJsonBytes(metadata), code: readZip(input, zip, said) };
}

/** What the caller says of the zip; nothing without the header. */
function readDigest({ headers }: Input): string | undefined {
  const said = headers.get('x-ms-code-zip-sha256');
  if (said === null || /^[0-9a-f]{64}$/i.test(said)) return said?.toLowerCase();
  throw invalid(
    `The header x-ms-code-zip-sha256 cannot be ${shown(said)}. Send the digest of the zip as 64 hex digits.`,
    'x-ms-code-zip-sha256',
    'code/digest-matches',
  );
}

/** A file entry, or the end of a zip that has none. */
const ZIP_SIGNATURES = ['PK\u0003\u0004', 'PK\u0005\u0006'];

function readZip(input: Input, zip: Buffer, said: string | undefined): Code {
  const max = input.project.world.profile.settings.code_bytes_max;
  if (zip.length > max)
    throw new ApiError({
      status: 413,
      code: 'request_too_large',
      message: `The part code has ${zip.length} bytes, and at most ${max} are taken. Leave out what the agent can install.`,
      param: 'code',
      rule: 'code/size-max',
    });
  if (!ZIP_SIGNATURES.includes(zip.toString('latin1', 0, 4)))
    throw invalid(
      'The part code is no zip. Send the bytes of a zip file.',
      'code',
      'code/is-a-zip',
    );
  const sha256 = createHash('sha256').update(zip).digest('hex');
  if (said !== undefined && said !== sha256)
    throw invalid(
      `The header x-ms-code-zip-sha256 says ${shown(said)}, and the digest of the part code is ${sha256}. Send the file again.`,
      'x-ms-code-zip-sha256',
      'code/digest-matches',
    );
  return { sha256, zip };
}

function download(input: Input, named: string | undefined): Answer {
  const { world } = input.project;
  const name = nameOf(input);
  const { version } =
    named === undefined ? existingAgent(world, name) : existingVersion(world, name, named);
  const { code_sha256: sha256 } = version;
  const zip = sha256 === null ? undefined : readCode(world.store, sha256);
  if (sha256 === null || zip === undefined)
    throw new ApiError({
      status: 409,
      code: 'AgentNotCodeBased',
      message: `Version ${version.version} of agent ${name} runs no code that was uploaded. Ask for one that does.`,
      rule: 'code/only-of-code-agents',
    });
  const headers = {
    'content-type': 'application/zip',
    'x-ms-agent-version': version.version,
    'x-ms-code-zip-sha256': sha256,
  };
  return { status: 200, stream: new Blob([zip]).stream(), headers };
}
