/** A Node that is too old for us, where the machine has one. */
import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';

export const oldNode = ['/usr/bin/node', '/usr/local/bin/node'].find((path) => {
  const [major = 99] = existsSync(path)
    ? execFileSync(path, ['-v'], { encoding: 'utf8' }).slice(1).split('.').map(Number)
    : [];
  return major < 22;
});
