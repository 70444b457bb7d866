/** Every rule that a refusal can name. */
import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { rule } from '../../contracts/ledger.ts';
import { document, operations } from '../../contracts/openapi.ts';

const EMULATOR = fileURLToPath(new URL('../../emulator/', import.meta.url));

/** Those in the emulator's code, and those beside what a request's schema demands. */
export function refusingRules(): Set<string> {
  const found = new Set<string>();
  for (const file of readdirSync(EMULATOR, { recursive: true, encoding: 'utf8' })) {
    // A switch names the rule that it decides, which is not refused there.
    if (!file.endsWith('.ts') || file === 'profile.ts') continue;
    const text = readFileSync(`${EMULATOR}${file}`, 'utf8');
    for (const [, id = ''] of text.matchAll(/'([a-z-]+\/[a-z0-9-]+)'/g))
      if (rule(id)) found.add(id);
  }
  const seen = new Set<string>();
  const look = (node: unknown): void => {
    if (typeof node !== 'object' || node === null) return;
    for (const [key, value] of Object.entries(node)) {
      if (key === 'x-foundrite-rule') found.add(String(value));
      else if (key === '$ref' && !seen.has(value)) {
        seen.add(value);
        look(document().components.schemas[String(value).split('/').at(-1) ?? '']);
      } else if (key !== 'mapping') look(value);
    }
  };
  for (const { requestSchema } of operations()) look({ $ref: `/${requestSchema}` });
  return found;
}
