/** A YAML text that somebody wrote: its documents, and the place of whatever is wrong with it. */
import type { Document, LineCounter, YAMLError } from 'yaml';
import type { Key } from '../contracts/field-path.ts';
import { type Place, placeIn } from '../scenarios/place.ts';

export interface Written {
  value: unknown;
  /** `foundrite.yaml:12:7` of the value at a path, or of the nearest one around it. */
  placeOf(path: readonly Key[]): string;
}

export interface YamlText {
  documents: Written[];
  /** Sentences that begin with their place. With one that is no YAML there are no documents. */
  problems: string[];
}

/** YAML 1.2; a key that is there twice is told, and the last one counts. */
export async function readYaml(text: string, file: string): Promise<YamlText> {
  const { LineCounter: Lines, parseAllDocuments } = await import('yaml');
  const lines = new Lines();
  const found = parseAllDocuments(text, {
    version: '1.2',
    schema: 'core',
    uniqueKeys: true,
    lineCounter: lines,
    prettyErrors: false,
  });
  const documents = Array.isArray(found) ? found : [];
  const errors = documents.flatMap((each) => [...each.errors, ...each.warnings]);
  const broken = errors.find(({ code }) => code !== 'DUPLICATE_KEY');
  // What follows a slip of the form follows from it, mostly.
  const told = broken ? errors.slice(0, errors.indexOf(broken) + 1) : errors;
  const problems = told.map((error) => problemOf(error, text, file, lines));
  if (broken) return { documents: [], problems };
  const written = documents.flatMap((each): Written[] => {
    const placeOf = (path: readonly Key[]) => shownPlace(file, placeIn(each, lines, path));
    try {
      return [{ value: readValue(each), placeOf }];
    } catch (error) {
      problems.push(`${placeOf([])}: ${(error as Error).message.split('\n', 1)[0]}.`);
      return [];
    }
  });
  return { documents: written, problems };
}

/** Throws for an alias without its anchor, and for what contains itself. */
function readValue(document: Document): unknown {
  const value: unknown = document.toJS();
  JSON.stringify(value);
  return value;
}

function problemOf(
  { code, message, pos }: YAMLError,
  text: string,
  file: string,
  lines: LineCounter,
): string {
  const { line, col } = lines.linePos(pos[0]);
  const place = shownPlace(file, { line: Math.max(line, 1), column: Math.max(col, 1) });
  if (code !== 'DUPLICATE_KEY') return `${place}: this is not YAML: ${message}.`;
  const key = /^[^:\n]*/.exec(text.slice(pos[0]))?.[0].trim();
  return `${place}: the key ${key} is there twice; leave out the one or the other.`;
}

function shownPlace(file: string, { line, column }: Place): string {
  return `${file}:${line}:${column}`;
}
