/**
 * What seed 002, a page of reference, says piece by piece: its fields, in the page's order, and the sentences about them. It was saved
 * as text without the breaks between a description and the field after it, so a field is told by its type at the end of a line.
 */
import type { Unit } from './seed-units.ts';

export interface Field {
  /** The heading it stands under. */
  section: string;
  name: string;
  type: string;
  required: boolean;
}

const TYPE = [
  'hosted \\| prompt \\| workflow \\| external',
  '\\(Entra \\| BotService \\| BotServiceRbac\\)\\[\\]',
  '(?:[A-Z][a-z]+?){2,}?(?:\\[\\])?',
  'string|object|enum(?:\\[\\])?',
].join('|');
const NAME = '[a-z][a-z0-9_-]*?|Foundry-Features|ManagedAgentIdentityBlueprint';
/** What a description ends with before a field that is glued to it. */
const BEFORE = '.*(?:[.]|agent|endpoint|instance|ID|definition|supports)';
const FIELD = new RegExp(`^(${BEFORE})?(${NAME})(${TYPE})(required|optional)?$`);
/** What heads a part of the page. */
export const HEADING =
  /^(?:Agents|Create an agent|Query ParametersHeader Parameters|Request Body|Responses)$/;
const FINISHED = /[.:]$/;

/** With a break wherever one thing ends and the next begins. */
export function linesOf(page: string): string[] {
  const broken = page
    .replace(/^\/agents(?=Creates)/m, '/agents\n')
    .replace(/(?<=\.)Request Body(?=Content-Type)/, '\nRequest Body\n')
    .replace(/(?<=\.)Responses$/m, '\nResponses')
    .replaceAll('One of the following:', '\n$&')
    // The values of an enumeration follow what is said of it.
    .replaceAll(/(?<=resources\.|supports|'agent'\.)(?=HostedAgents=|activity|agent$)/gm, '\n');
  return broken.split('\n').flatMap((line) => {
    const [, before, name = '', type = '', flag = ''] = FIELD.exec(line.trim()) ?? [];
    if (name === '') return [line.trim()];
    const field = [name, type, flag].filter(Boolean).join(' ');
    return before === undefined ? [field] : [before, field];
  });
}

const DECLARED = new RegExp(`^(${NAME}) (${TYPE})(?: (required|optional))?$`);
const VALUES = /^(?:HostedAgents=.*|activity[a-z0-9_]+|agent)$/;

export function fieldsOf(page: string): Field[] {
  let section = '';
  return linesOf(page).flatMap((line) => {
    if (HEADING.test(line)) section = line;
    const [, name, type = '', flag] = DECLARED.exec(line) ?? [];
    return name === undefined ? [] : [{ section, name, type, required: flag === 'required' }];
  });
}

/** The values of each enumeration, glued as on the page, in the page's order. */
export function valuesOf(page: string): string[] {
  return linesOf(page).filter((line) => VALUES.test(line));
}

/** The units of coverage.yaml, of which a field and the values of an enumeration are kinds of their own. */
export function referenceUnitsOf(page: string): Unit[] {
  const units: Unit[] = [];
  let section = '';
  const add = (kind: string, text: string) => {
    const isSame = (unit: Unit) => unit.section === section && unit.name.startsWith(`${kind} `);
    units.push({ section, name: `${kind} ${units.filter(isSame).length + 1}`, text });
  };
  let prose: string[] = [];
  const flush = () => {
    const text = prose.join(' ');
    prose = [];
    const kind = text.startsWith('- ') ? 'item' : 'sentence';
    const sentences = text.replace(/^- /, '').split(/(?<=[.!?])\s*(?=[A-Z])/);
    for (const sentence of sentences) if (sentence !== '') add(kind, sentence);
  };
  for (const line of linesOf(page)) {
    const isWhole = HEADING.test(line) || DECLARED.test(line) || VALUES.test(line);
    if (isWhole || line.startsWith('- ')) flush();
    if (HEADING.test(line)) section = line;
    else if (DECLARED.test(line)) add('field', line);
    else if (VALUES.test(line)) add('values', line);
    else prose.push(line);
    if (FINISHED.test(line)) flush();
  }
  flush();
  return units;
}
