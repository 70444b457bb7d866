/** What a world is made with. */
import type { Configured } from '../contracts/configured.ts';
import type { HostClock, Instant } from './clock.ts';
import type { Profile } from './profile.ts';
import type { WorldRow } from './store/world.ts';

/** What a world is made with, and made again with by reset. It is the first line of its journal. */
export interface WorldMade {
  project: string;
  now: Instant;
  /** Whether `now` was named, or is where the host's clock stood. */
  nowNamed: boolean;
  rate: 0 | 1;
  skip: boolean;
  seed: string;
  profile: Profile;
  /** Whether the demo agents are there from the start. */
  demo: boolean;
  /** Further agents, assistants and routines, by name. */
  agents: Configured['agents'];
  assistants?: Configured['assistants'];
  routines: Configured['routines'];
  faults: readonly unknown[];
}

/** The row that a world begins with. */
export function firstRow(made: WorldMade, host: HostClock): WorldRow {
  return {
    project: made.project,
    made: JSON.stringify(made),
    profile: JSON.stringify(made.profile),
    seed: made.seed,
    now: made.now,
    rate: made.rate,
    skip: made.skip ? 1 : 0,
    host_offset: made.now - host.now(),
    epoch: 1,
    journal_seq: 0,
    due_seq: 0,
  };
}
