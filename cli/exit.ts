/** How the command line ends. */

/** Exit codes, the same for every verb; `exec` adds those of its child. */
export const EXIT = {
  ok: 0,
  /** A promise was broken: the tool itself ran well. */
  broken: 1,
  /** A flag, a variable or a file is wrong. */
  usage: 2,
  /** No emulator answers. */
  unreachable: 11,
  /** It answers, and will not have us. */
  refused: 12,
  /** Port, folder or Node. */
  machine: 14,
  /** Ours. */
  bug: 20,
  /** The second Ctrl-C. */
  interrupted: 130,
} as const;

/** Ends the process with one sentence on stderr: what was wrong, with which value, and what to do. */
export class Exit extends Error {
  readonly exitCode: number;

  constructor(exitCode: number, message: string) {
    super(message);
    this.name = 'Exit';
    this.exitCode = exitCode;
  }
}

export function usage(message: string): Exit {
  return new Exit(EXIT.usage, message);
}

/** Several that were found at once; the first decides how the process ends. */
export function together([first, ...further]: readonly [Exit, ...Exit[]]): Exit {
  const lines = [first, ...further].map(({ message }) => message);
  return new Exit(first.exitCode, lines.join('\nfoundrite: '));
}
