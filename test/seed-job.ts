/**
 * What seed 004 says, piece by piece: the page of a scheduler's job, saved as text with the cells of a row side by side and its steps
 * numbered. And the table of transitions in contract/threads.md, in the same units.
 */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { ROOT } from './clients/install.mjs';
import { isHeading, sentencesOf, type Unit } from './seed-units.ts';

const HEADS = ['Polysync parameter Direction Role', 'Foundry agent run status Polysync status'];
const ITEM = /^(• |\d\. )(.*)$/;
/** A request by itself, or an address, which goes on in the next line. */
const SAMPLE = /^(?:GET \/|https:|\/providers\/)/;

/** The units of seed 004. A step keeps its number. */
export function jobUnitsOf(page: string): Unit[] {
  const { units, add } = collector();
  let section = '';
  let isTable = false;
  for (const line of page.split('\n').map((each) => each.trim())) {
    const [, mark, text = line] = ITEM.exec(line) ?? [];
    if (HEADS.includes(line)) {
      add(section, 'head', line);
      isTable = true;
    } else if (line === '') isTable = false;
    else if (mark !== undefined) {
      isTable = false;
      const [first = '', ...others] = sentencesOf(text);
      for (const each of [`${mark.replace('• ', '')}${first}`, ...others])
        add(section, 'item', each);
    } else if (isTable) add(section, 'row', line);
    else if (SAMPLE.test(line)) add(section, 'sample', line);
    else if (isHeading(line)) section = line;
    else for (const each of sentencesOf(line)) add(section, 'sentence', each);
  }
  return units;
}

const CONTRACT = join(ROOT, '..', 'shared', 'contract', 'threads.md');
const TRANSITIONS = '7.1 Transitions';

/** The part of contract/threads.md that has the table of transitions; nothing where the contract is absent. */
export function readTransitions(): string | undefined {
  if (!existsSync(CONTRACT)) return undefined;
  const [, part = ''] = readFileSync(CONTRACT, 'utf8').split(`### ${TRANSITIONS}\n`);
  return `${TRANSITIONS}\n${part.split('\n#')[0]}`;
}

export function transitionUnitsOf(part: string): Unit[] {
  const { units, add } = collector();
  for (const line of part.split('\n').slice(1)) {
    const cells = line.split('|').map((cell) => cell.trim());
    const isRule = /^[|-]+$/.test(line);
    const isFirst = !units.some(({ name }) => name.startsWith('head'));
    if (line.startsWith('|') && !isRule)
      add(TRANSITIONS, isFirst ? 'head' : 'row', cells.filter(Boolean).join(' '));
    else if (line !== '' && !isRule)
      for (const each of sentencesOf(line)) add(TRANSITIONS, 'sentence', each);
  }
  return units;
}

/** From which status to which, without those that the table says never come. */
export function transitionsOf(part: string): [from: string, to: string][] {
  const cells = [...part.matchAll(/^\| ([a-z_]+) → ([a-z_ /]+) \|/gm)];
  return cells.flatMap(([, from = '', to = '']) =>
    to.split(' / ').map((each): [string, string] => [from, each]),
  );
}

function collector() {
  const units: Unit[] = [];
  const add = (section: string, kind: string, text: string) => {
    const isSame = (unit: Unit) => unit.section === section && unit.name.startsWith(`${kind} `);
    units.push({ section, name: `${kind} ${units.filter(isSame).length + 1}`, text });
  };
  return { units, add };
}
