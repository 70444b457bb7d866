/** Ids are opaque: what the model calls a run by a number keeps its ids, and no two runs share one. */
import type { Json } from './definition.ts';

const FIELDS = ['id', 'dispatch_id', 'action_correlation_id', 'task_id', 'principal_id'];

export class Ids {
  private readonly fields = new Map(
    FIELDS.map((field) => [
      field,
      { byKey: new Map<number, string>(), byId: new Map<string, number>() },
    ]),
  );
  private readonly complain: (what: string, model: unknown, emulator: unknown) => never;

  constructor(complain: (what: string, model: unknown, emulator: unknown) => never) {
    this.complain = complain;
  }

  /** These are the ids of this run. */
  are(key: number, ids: Json): void {
    for (const [field, { byKey, byId }] of this.fields) {
      if (ids[field] === undefined) continue;
      const id = String(ids[field]);
      const known = byKey.get(key);
      const other = byId.get(id);
      if (known !== undefined && known !== id) this.complain(`the ${field} of one run`, known, id);
      if (other !== undefined && other !== key)
        this.complain(`the ${field} of two runs`, 'two of them', id);
      byKey.set(key, id);
      byId.set(id, key);
    }
  }

  /** The id of a run. */
  of(key: number): string | undefined {
    return this.fields.get('id')?.byKey.get(key);
  }

  /** After a reset, the ids of runs that are gone may come again. */
  keepOnly(there: Set<number>): void {
    for (const { byKey, byId } of this.fields.values())
      for (const [key, id] of byKey) {
        if (there.has(key)) continue;
        byKey.delete(key);
        byId.delete(id);
      }
  }
}
