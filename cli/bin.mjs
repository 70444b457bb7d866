#!/usr/bin/env node
// Plain JavaScript that even Node 12 can read: it must refuse with a sentence, not with a syntax error or a native crash.
import fs from 'node:fs';
import module from 'node:module';

const needed = [22, 18];
const found = process.versions.node.split('.').map(Number);

if (found[0] < needed[0] || (found[0] === needed[0] && found[1] < needed[1])) {
  process.stderr.write(
    `foundrite needs Node ${needed.join('.')} or newer and this is Node ${process.versions.node}: ` +
      'install a newer one from nodejs.org, or run it once with "npx -p node@22 -p foundrite foundrite ...".\n',
  );
  process.exitCode = 14;
} else {
  // Loading and stripping our TypeScript is most of a start; the second one finds it done.
  if (module.enableCompileCache) module.enableCompileCache();
  const source = new URL('./main.ts', import.meta.url);
  const main = fs.existsSync(source) ? source : new URL('../dist/cli/main.js', import.meta.url);
  import(main.href).then(({ run }) => run(process.argv.slice(2)));
}
