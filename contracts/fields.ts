/** Fields that a value has and its schema does not name. The service lets them pass; who writes a file wants to know of a slip. */
import { type Node, REF, resolve, type SchemaName } from './validators.ts';

export interface UnknownField {
  /** Path of the field: keys, and places in lists. */
  path: (string | number)[];
  /** What may stand in its place. */
  known: string[];
}

/** At every depth that the schema describes; what it leaves open, such as an input, is not looked into. */
export function unknownFields(schema: SchemaName, value: unknown): UnknownField[] {
  return [...visit({ $ref: `${REF}${schema}` }, value, [])];
}

function* visit(
  schema: Node,
  value: unknown,
  path: (string | number)[],
): Generator<UnknownField, void> {
  const meant = variantOf(schema, value);
  if (meant === undefined || typeof value !== 'object' || value === null) return;
  if (Array.isArray(value)) {
    for (const [index, item] of value.entries())
      if (meant.items) yield* visit(meant.items, item, [...path, index]);
    return;
  }
  const { properties, additionalProperties } = meant;
  const known = Object.keys(properties ?? {});
  for (const [key, child] of Object.entries(value)) {
    const inner = [...path, key];
    if (properties && Object.hasOwn(properties, key)) yield* visit(properties[key], child, inner);
    else if (typeof additionalProperties === 'object')
      yield* visit(additionalProperties, child, inner);
    else if (known.length > 0 && additionalProperties !== true) yield { path: inner, known };
  }
}

/** The schema that speaks of this value; undefined where it cannot be told, or where everything goes. */
function variantOf(schema: Node, value: unknown): Node | undefined {
  const here = schema?.$ref === undefined ? schema : resolve(schema.$ref);
  const tag: string | undefined = here?.discriminator?.propertyName;
  if (tag === undefined) return here;
  const said = (value as Record<string, unknown> | null)?.[tag];
  const variants = (here.oneOf as Node[]).map((one) => variantOf(one, value));
  return variants.find((one) => {
    const { const: only, enum: several } = one?.properties?.[tag] ?? {};
    return said !== undefined && (only === said || several?.includes(said));
  });
}
