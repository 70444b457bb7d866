/** The request that a call of a configuration is. */
import type { ConfiguredCall } from './configured.ts';
import { operations } from './openapi.ts';

export interface ConfiguredRequest {
  method: string;
  /** Whether it goes to the emulator's own routes, which a live project does not have. */
  control: boolean;
  /** Raw, below the project; with the version of the API that it needs. */
  path: string;
}

const BELOW = /^\/(api|_emulator)\/projects\/\{\w+\}/;

export function configuredRequest({ operation: id, params }: ConfiguredCall): ConfiguredRequest {
  const operation = operations().find(({ operationId }) => operationId === id);
  const [project, family] = BELOW.exec(operation?.path ?? '') ?? [];
  if (!operation || project === undefined)
    throw new Error(`openapi.yaml has no ${id} of a project`);
  const path = operation.path
    .slice(project.length)
    .replace(/\{(\w+)\}/g, (_, name: string) => encodeURIComponent(params[name] ?? ''));
  const control = family === '_emulator';
  return { method: operation.method, control, path: control ? path : `${path}?api-version=v1` };
}
