/** The command line: which verbs there are and what they can be told. A verb's own file is loaded when it is called. */
import { existsSync, readFileSync } from 'node:fs';
import { Command, CommanderError } from 'commander';
import { EXIT, usage } from './exit.ts';
import { addFlags, CHILD_FLAGS, collect, START_FLAGS, typedFlags } from './flags.ts';
import { unknownVariables, withPlayVariables } from './variables.ts';

/** What a verb answers: an exit code ends the process, nothing lets it go on until it has no more to do. */
type Outcome = number | undefined;

export async function run(argv: string[]): Promise<void> {
  bearBrokenPipes();
  let outcome: Outcome;
  const program = describe((code) => {
    outcome = code;
  });
  try {
    // The doctor tells of them in its own words.
    for (const warning of argv[0] === 'doctor' ? [] : unknownVariables(process.env))
      process.stderr.write(`foundrite: ${warning}\n`);
    refuseUnknownVerb(program, argv);
    await program.parseAsync(argv, { from: 'user' });
    // Nothing may keep a finished verb alive: a port, a pool of connections.
    if (outcome !== undefined) {
      await printed();
      process.exit(outcome);
    }
  } catch (error) {
    process.exit(report(error));
  }
}

/** A reader that goes away, as in "foundrite ledger | head", is no error: what was begun goes on to its end and its exit code. */
function bearBrokenPipes(): void {
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code === 'EPIPE') return;
    process.stderr.write(`foundrite: cannot print: ${error.message}\n`);
    process.exit(EXIT.machine);
  });
  // Nobody is left to be told.
  process.stderr.on('error', () => {});
}

/** A pipe takes only so much at once: what was written has left when this returns. */
function printed(): Promise<void> {
  return new Promise((resolve) => process.stdout.write('', () => resolve()));
}

function describe(end: (code: Outcome) => void): Command {
  const program = new Command('foundrite')
    .description(
      'Emulates the Microsoft Foundry agent service on this machine (not Foundry Local, which runs models).',
    )
    .version(version())
    .enablePositionalOptions()
    .exitOverride()
    .configureOutput({ outputError: () => {} })
    .addHelpText(
      'after',
      '\nEvery flag has a variable (--data-dir: FOUNDRITE_DATA_DIR) and a key in foundrite.yaml (data_dir).',
    );

  startFlags(
    program.command('start', { isDefault: true }).description('start an emulator (the default)'),
  ).action(async (_flags, command: Command) =>
    end(await (await import('./start.ts')).start(typedFlags(command))),
  );

  startFlags(
    program
      .command('exec')
      .description('start an emulator, run a command that uses it, end with its exit code')
      .argument('[command...]', 'the command, after --')
      .passThroughOptions(),
    CHILD_FLAGS,
  ).action(async (words: string[], _flags, command: Command) =>
    end(await (await import('./exec.ts')).exec(words, typedFlags(command))),
  );

  callFlags(
    program.command('env').description('print what exec would set, for an emulator that runs'),
  )
    .option('--shell <name>', 'bash, pwsh, github, dotenv (bash; on Windows pwsh)')
    .option('--keep-azure-env', 'leave the credentials in AZURE_* as they are')
    .option('--no-identity', 'let programs sign in by themselves')
    .action(async (_flags, command: Command) =>
      (await import('./env.ts')).env(typedFlags(command)),
    );

  callFlags(program.command('journal').description('print the record of all turns'))
    .option('-f, --follow', 'go on with what comes')
    .option('--kind <kind>', 'only lines of this kind')
    .option('--run <id>', 'only lines of this run')
    .option('--routine <name>', 'only lines of this routine')
    .option('--after <cursor>', 'only lines after this one')
    .option('--canonical', 'as JSON lines that depend on what was asked alone, for replay')
    .action(async (flags) => (await import('./journal.ts')).journal(flags));

  program
    .command('replay')
    .description('play a canonical journal again; print the one that this gives')
    .argument('<file>', 'from journal --canonical; - is stdin')
    .action(async (file: string) => end(await (await import('./replay.ts')).replay(file)));

  describePlay(program, end);

  describeClock(program, end);

  callFlags(program.command('fire').description('fire a routine'))
    .argument('<routine>')
    .option('--at <instant>', 'as if this instant had come')
    .option('--payload <json>', 'what the firing carries')
    .action(async (routine: string, flags) => (await import('./fire.ts')).fire(routine, flags));

  program
    .command('apply')
    .description("make and update routines from azd's manifests")
    .option('-f, --file <file>', 'a manifest, YAML or JSON; - is stdin; can be repeated', collect)
    .option('--name <name>', 'of the routine, in place of what its manifest says')
    .option(
      '--url <url>',
      "an emulator or a project's endpoint (FOUNDRITE_URL, http://127.0.0.1:3686)",
    )
    .option('--project <name>', 'the project (FOUNDRITE_PROJECT, local)')
    .option('--token <token>', 'for a target that does not take any (FOUNDRITE_TOKEN)')
    .action(async (flags) => (await import('./apply.ts')).apply(flags));

  program
    .command('ledger')
    .description('print the rules that the emulator keeps, and how each is known')
    .argument('[rule]', 'the id of one rule, to print all of it')
    .option('--basis <basis>', 'only documented, observed, assumed or own rules')
    .option('--area <name>', 'only rules whose id has this before the slash')
    .option('--grep <text>', 'only rules with this text in their id or statement')
    .option('--json', 'as JSON, in the form of /_emulator/ledger')
    .action(async (id: string | undefined, flags) =>
      (await import('./ledger.ts')).ledger(id, flags),
    );

  addFlags(
    program
      .command('doctor')
      .description('say what keeps start, with the same flags, or programs from working'),
    START_FLAGS,
  )
    .option('--json', 'as JSON')
    .action(async (_flags, command: Command) =>
      end(await (await import('./doctor.ts')).doctor(typedFlags(command))),
    );

  program
    .command('completion')
    .description('print a script that completes verbs, flags and values')
    .argument('<shell>', 'bash, zsh, fish, pwsh')
    .action(async (shell: string) => (await import('./completion.ts')).completion(shell, program));

  // Commands made before this setting do not have it.
  for (const command of [program, ...program.commands.flatMap((one) => [one, ...one.commands])]) {
    command
      .exitOverride()
      .configureOutput({ outputError: () => {} })
      .allowExcessArguments(false);
  }
  return program;
}

function describePlay(program: Command, end: (code: Outcome) => void): void {
  program
    .command('play')
    .description('play scenarios, on the emulator in this process or on one by URL')
    .argument('[paths...]', "files and folders (scenarios, or the package's own)")
    .option('--url <url>', 'an emulator that runs, http or https (one in this process)')
    .option('--control-token <token>', 'what it was started with (FOUNDRITE_CONTROL_TOKEN)')
    .option('--ca <file>', 'its certificate authority (on this machine it is asked for it)')
    .option('--grep <text>', 'only those with this text in their sentence or file')
    .option('--rule <id>', 'only those that prove this rule, or a rule of this area')
    .option(
      '--reporter <name>',
      'pretty, junit, json, github (pretty); NAME=FILE writes a file; can be repeated',
      collect,
    )
    .option('--seed <text>', "decides ids and draws (each scenario's own)")
    .option('--break <rule>', 'break this promise on purpose, to see who notices')
    .option('--jobs <number>', 'how many are played at once (8)')
    .option('--keep', 'leave the projects there, for a look at them')
    .option(
      '--prefix <text>',
      'begins the names of its projects: two plays on one emulator need two (play)',
    )
    .option('--list', 'say what would be played')
    .option('--watch', 'play again what is written')
    .action(async (paths: string[], flags) =>
      end(await (await import('./play.ts')).play(paths, withPlayVariables(flags, process.env))),
    );
}

function describeClock(program: Command, end: (code: Outcome) => void): void {
  const clock = program.command('clock').description("show, move, stop or set a project's clock");
  callFlags(clock.command('show', { isDefault: true }).description('show it')).action(
    async (flags) => (await import('./clock.ts')).showClock(flags),
  );
  callFlags(clock.command('advance').description('move time on'))
    .argument('[duration]', 'e.g. 90s, 1h30m, PT2H')
    .option('--to <instant>', 'up to there')
    .option('--until <idle>', 'until nothing is on its way')
    .action(async (by: string | undefined, flags) =>
      end(await (await import('./clock.ts')).advanceClock(by, flags)),
    );
  callFlags(clock.command('stop').description('stop an advance')).action(async (flags) =>
    (await import('./clock.ts')).stopClock(flags),
  );
  callFlags(clock.command('set').description('set instant, rate or skip'))
    .option('--now <instant>', 'never back')
    .option('--rate <0|1>', '1 moves at the pace of the system, 0 stands still')
    .option('--skip', 'move on to what is waited for')
    .option('--no-skip', 'do not')
    // Left alone unless typed: commander takes "--no-skip" for a default of true.
    .action(async (_flags, command: Command) =>
      (await import('./clock.ts')).setClock(typedFlags(command)),
    );
}

function startFlags(command: Command, further: typeof CHILD_FLAGS = []): Command {
  return addFlags(command, [...START_FLAGS, ...further]).option(
    '--print-config',
    'print what it goes by, and where each value is from, and end',
  );
}

function callFlags(command: Command): Command {
  return command
    .option('--url <url>', 'where the emulator listens (FOUNDRITE_URL, http://127.0.0.1:3686)')
    .option('--project <name>', 'the project (FOUNDRITE_PROJECT, local)')
    .option('--control-token <token>', 'what it was started with (FOUNDRITE_CONTROL_TOKEN)');
}

/** Without this, commander would take the word for an argument of `start`. */
function refuseUnknownVerb(program: Command, [first]: string[]): void {
  if (first === undefined || first.startsWith('-') || first === 'help') return;
  const verbs = program.commands.map((command) => command.name());
  if (!verbs.includes(first))
    throw usage(`there is no "${first}"; there are: ${verbs.join(', ')}. See foundrite --help.`);
}

/** One sentence for what was foreseen, everything that we know for what was not. */
function report(error: unknown): number {
  if (error instanceof CommanderError) {
    if (error.exitCode === 0) return EXIT.ok;
    const said = error.message.replace(/^error: /, '').replace('\n(Did', ' (did');
    process.stderr.write(`foundrite: ${said.replace(/(?<!\.)$/, '.')} See foundrite --help.\n`);
    return EXIT.usage;
  }
  const code = (error as { exitCode?: unknown }).exitCode;
  if (error instanceof Error && typeof code === 'number') {
    process.stderr.write(`foundrite: ${error.message}\n`);
    return code;
  }
  process.stderr.write(
    `foundrite: this is a bug in Foundrite; please report it.\n${(error as Error)?.stack ?? error}\n`,
  );
  return EXIT.bug;
}

/** From the package's own description, one folder up in the checkout and two in what is published. */
function version(): string {
  for (const path of ['../package.json', '../../package.json']) {
    const url = new URL(path, import.meta.url);
    if (existsSync(url))
      return (JSON.parse(readFileSync(url, 'utf8')) as { version: string }).version;
  }
  return 'unknown';
}
