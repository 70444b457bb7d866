/** What a long play shows while it goes on, and what keeps it going. */
import { systemClock } from '../emulator/clock.ts';
import type { Scenario } from '../scenarios/scenario.ts';

const PROGRESS_MS = 500;
const ALIVE_MS = 60_000;

/** Until it is let go, the process does not end by itself. */
export function keepAlive(): () => void {
  let cancel = () => {};
  const again = () => {
    cancel = systemClock.after(ALIVE_MS, again, true);
  };
  again();
  return () => cancel();
}

interface Progress {
  began(scenario: Scenario): void;
  ended(scenario: Scenario): void;
  close(): void;
}

/** One line on a terminal that is written over; nothing where nobody looks, as in CI, which may have a terminal. */
export function showProgress(total: number): Progress {
  if (!process.stderr.isTTY || process.env.CI) return { began() {}, ended() {}, close() {} };
  const under = new Map<Scenario, number>();
  let done = 0;
  let cancel = () => {};
  const print = () => {
    const [oldest] = under;
    const since = oldest ? Math.floor((performance.now() - oldest[1]) / 1_000) : 0;
    const what = oldest ? ` · ${oldest[0].name}${since > 0 ? ` (${since} s)` : ''}` : '';
    process.stderr.write(`\r\u001b[2K${done} of ${total}${what}`);
    cancel = systemClock.after(PROGRESS_MS, print);
  };
  cancel = systemClock.after(PROGRESS_MS, print);
  return {
    began: (scenario) => under.set(scenario, performance.now()),
    ended(scenario) {
      under.delete(scenario);
      done += 1;
      // What a reporter writes next begins on an empty line.
      process.stderr.write('\r\u001b[2K');
    },
    close() {
      cancel();
      process.stderr.write('\r\u001b[2K');
    },
  };
}
