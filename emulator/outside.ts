/** What leaves the process: calls to agents and models of the user's own. Replay puts what was recorded in their place. */
import {
  type AgentCall,
  endsWith,
  forward,
  type Opened,
  openForward,
  type Unopened,
} from './downstream.ts';
import type { Arrival } from './faults.ts';
import { askModel } from './model.ts';
import type { Heard, Reply } from './replies.ts';
import { openModel } from './retell.ts';
import type { World } from './world.ts';

/** A call that something outside answers. */
export interface Asking {
  call: AgentCall;
  heard: Heard;
  reply: Extract<Reply, { kind: 'forward' | 'model' }>;
}

export interface Outside {
  /** The whole answer, unless the signal ends the call. Never rejects. */
  ask(asking: Asking, ceilingMs: number, signal?: AbortSignal): Promise<Arrival>;
  /** The answer as it comes, until the signal ends it. Never rejects. */
  open(asking: Asking, signal: AbortSignal): Promise<Opened | Unopened>;
  /** Whether a variable of the environment is set; replay has none, and needs none. */
  hasVariable?(name: string): boolean;
}

export function outsideOf(world: World, closing: AbortSignal): Outside {
  const { host } = world;
  return {
    async ask({ call, heard, reply }, ceilingMs, gone) {
      const { signal, end } = endsWith(closing, gone);
      try {
        return reply.kind === 'forward'
          ? await forward(host, reply.url, call, ceilingMs, signal)
          : await askModel(world, reply, heard, { host, signal, silenceMs: ceilingMs });
      } finally {
        end();
      }
    },
    open({ call, heard, reply }, signal) {
      const ending = { host, signal, silenceMs: world.profile.settings.gateway_silence };
      return reply.kind === 'forward'
        ? openForward(reply.url, call, ending)
        : openModel(world, reply, heard, ending);
    },
    hasVariable: (name) => (process.env[name] ?? '') !== '',
  };
}
