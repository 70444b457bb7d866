import { clearTimeout, setTimeout as startTimer } from 'node:timers';
import { queryObjects } from 'node:v8';
import { expect, test } from 'vitest';
import { systemClock } from '../emulator/clock.ts';

/** What Node keeps for each delay that some timer waits for. */
function delaysKept(): number {
  const timer = startTimer(() => {}, 86_400_000);
  try {
    const list = (timer as unknown as { _idlePrev: object })._idlePrev;
    return queryObjects(list.constructor as never, { format: 'count' }) as unknown as number;
  } finally {
    clearTimeout(timer);
  }
}

test('a cancelled wait leaves nothing behind: a world at rate 1 sets another after every turn', () => {
  const before = delaysKept();
  for (let ms = 1; ms <= 2_000; ms += 1) systemClock.after(3_600_000 + ms, () => {})();
  expect(delaysKept() - before).toBeLessThan(100);
});
