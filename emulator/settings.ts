/** Settings: durations and limits of a world, and the policy of its deliveries. */
import { DAY, MINUTE, parseDuration, SECOND } from './clock.ts';
import { UNANSWERED } from './retry.ts';

interface NumberSetting {
  default: number;
  min: number;
  max: number;
  /** Durations are written `30s` or `PT30S`, and kept in milliseconds. A ratio may be a decimal. */
  unit: 'ms' | 'count' | 'characters' | 'ratio';
  /** Values of the other profiles, where they differ from the default. */
  v1preview?: number;
  v2preview?: number;
}

/** Outcomes of an attempt, in words: statuses between the bounds, their classes (`5xx`), and kinds. */
interface OutcomesSetting {
  default: string;
  min: number;
  max: number;
  unit: 'outcomes';
  kinds: readonly string[];
}

type SettingDefinition = NumberSetting | OutcomesSetting;

const ANY_DURATION = { min: 0, max: 3650 * 24 * 60 * MINUTE, unit: 'ms' } as const;

/**
 * Every setting, with its bounds. The delivery defaults are seed 001, "Downstream call outcomes" and "Retry and timeout
 * defaults".
 */
export const SETTINGS = {
  completes_on: { default: '2xx', min: 200, max: 599, unit: 'outcomes', kinds: [] },
  retry_on: {
    default: '408 429 5xx timeout connection_failed answer_lost interrupted',
    min: 300,
    max: 599,
    unit: 'outcomes',
    kinds: UNANSWERED,
  },
  attempts_max: { default: 3, min: 1, max: 100, unit: 'count' },
  first_wait: { ...ANY_DURATION, default: SECOND },
  wait_factor: { default: 2, min: 1, max: 10, unit: 'ratio' },
  wait_max: { ...ANY_DURATION, default: 5 * SECOND },
  /** The share of each wait that is drawn by key. */
  wait_jitter: { default: 0, min: 0, max: 1, unit: 'ratio' },
  attempt_timeout: { ...ANY_DURATION, default: 30 * SECOND, min: 1 },
  queue_delay: { ...ANY_DURATION, default: 0 },
  /** Real time that an agent may be silent in a client's call, before its first byte and between two. */
  gateway_silence: { ...ANY_DURATION, default: 2 * MINUTE, min: 1 },
  /** How many deliveries of a world may be in flight at once; 0 is no limit. */
  worker_concurrency: { default: 0, min: 0, max: 10_000, unit: 'count' },
  /** How long a hosted version is being provisioned: two to five minutes, says seed 003, "Version status values". */
  provisioning_time: {
    ...ANY_DURATION,
    default: SECOND,
    v1preview: 3 * MINUTE,
    v2preview: 3 * MINUTE,
  },
  /** How long a version that was deleted is still shown as on its way out. */
  deleting_time: { ...ANY_DURATION, default: 0 },
  /** How many versions an agent may have at once (contract/agents.md 8). */
  versions_max: { default: 1_000, min: 1, max: 100_000, unit: 'count' },
  /** How large the zip of an agent's code may be: 250 MB (contract/agents.md 5.3). */
  code_bytes_max: { default: 262_144_000, min: 1, max: 262_144_000, unit: 'count' },
  /** The most vCPUs that a hosted version may have: seed and clients name 2, one client 3.5. */
  cpu_max: { default: 2, min: 0.25, max: 3.5, unit: 'ratio' },
  /** How long a sandbox takes to be there, at its first call and after it was idle. */
  cold_start: { ...ANY_DURATION, default: 0 },
  /** Without a call for so long a sandbox is suspended, unless its version says otherwise. */
  session_idle: { ...ANY_DURATION, default: 15 * MINUTE, min: 1 },
  /** How long a client waits for a sandbox that is not there yet. */
  ready_timeout: { ...ANY_DURATION, default: MINUTE },
  /** How long a response in the background takes. */
  background_time: { ...ANY_DURATION, default: SECOND },
  /** How long a session lives after its last call. */
  session_life: { ...ANY_DURATION, default: 30 * DAY, min: 1 },
  /** A log stream to which nothing comes for so long is ended. */
  log_idle: { ...ANY_DURATION, default: 2 * MINUTE, min: 1 },
  log_max: { ...ANY_DURATION, default: 30 * MINUTE, min: 1 },
  log_keep_alive: { ...ANY_DURATION, default: MINUTE, min: 1 },
  /** How long a thread run is queued, at first and after its tool outputs came. */
  run_queue_time: { ...ANY_DURATION, default: 500 },
  /** How long it then takes, unless its reply says otherwise. */
  run_time: { ...ANY_DURATION, default: 1_500 },
  run_cancel_time: { ...ANY_DURATION, default: 500 },
  /** A thread run that has not ended so long after its creation expires: about ten minutes (contract/threads.md 7.2). */
  run_expiry: { ...ANY_DURATION, default: 10 * MINUTE, min: 1 },
  /** How many reads that tell nothing new a run bears that waits for its client, before skip moves time to where it expires. */
  outputs_patience: { default: 10, min: 1, max: 1_000_000, unit: 'count' },
  /** How soon a client is told to ask for a thread run again; 0 does not tell. */
  run_poll_after: { ...ANY_DURATION, default: 200 },
  cron_interval_min: { ...ANY_DURATION, default: 5 * MINUTE },
  page_default: { default: 100, min: 1, max: 100, unit: 'count' },
  /** The same for lists of agents and of what belongs to them. */
  agents_page_default: { default: 20, min: 1, max: 100, unit: 'count' },
  /** The same for lists of assistants and threads, and of what belongs to them. */
  threads_page_default: { default: 20, min: 1, max: 100, unit: 'count' },
  page_max: { default: 100, min: 1, max: 10_000, unit: 'count' },
  /** How long a text of a message may be, and how many messages a thread may have (contract/threads.md 13). */
  message_text_max: { default: 1_500_000, min: 1, max: 10_000_000, unit: 'characters' },
  thread_messages_max: { default: 100_000, min: 1, max: 1_000_000, unit: 'count' },
  dispatch_input_max: { default: 32_768, min: 0, max: 10_000_000, unit: 'characters' },
  error_message_max: { default: 1_024, min: 1, max: 100_000, unit: 'characters' },
  skip_max: { ...ANY_DURATION, default: 10 * MINUTE },
  late_after: { ...ANY_DURATION, default: 60 * SECOND },
  /** Real time that one advance may take before it stops and says so. */
  wall_max: { ...ANY_DURATION, default: 60 * SECOND, min: 1 },
  fired_max: { default: 10_000, min: 1, max: 1_000_000, unit: 'count' },
  instant_turns_max: { default: 10_000, min: 1, max: 1_000_000, unit: 'count' },
  journal_max: { default: 200_000, min: 100, max: 10_000_000, unit: 'count' },
} as const satisfies Record<string, SettingDefinition>;

export type SettingName = keyof typeof SETTINGS;
export type Settings = {
  [Name in SettingName]: (typeof SETTINGS)[Name]['default'] extends string ? string : number;
};

export function isSetting(name: string): name is SettingName {
  return Object.hasOwn(SETTINGS, name);
}

/** A value as users write it, in the form that is kept; undefined if the setting cannot be that. */
export function readSetting(name: SettingName, value: unknown): number | string | undefined {
  const definition: SettingDefinition = SETTINGS[name];
  if (typeof value !== 'number' && (typeof value !== 'string' || value.trim() === ''))
    return undefined;
  return definition.unit === 'outcomes'
    ? readOutcomes(String(value), definition)
    : readNumber(value, definition);
}

/** What a setting may be, to go on after "Use". */
export function allowedFor(name: SettingName): string {
  const definition: SettingDefinition = SETTINGS[name];
  const { unit, min, max } = definition;
  switch (unit) {
    case 'ms':
      return `a duration such as '30s' (a bare number is milliseconds) from ${min} to ${max}`;
    case 'count':
    case 'characters':
      return `a whole number from ${min} to ${max}`;
    case 'ratio':
      return `a number from ${min} to ${max}`;
    case 'outcomes': {
      const words = [...classesOf(definition), ...definition.kinds].join(', ');
      return `one or more words with spaces between them: a status from ${min} to ${max}, ${words}`;
    }
  }
}

function readNumber(value: number | string, { unit, min, max }: NumberSetting): number | undefined {
  const text = typeof value === 'string' && !/^\d+$/.test(value);
  const number = text && unit === 'ms' ? parseDuration(value) : Number(value);
  const isWritten = unit === 'ratio' ? Number.isFinite(number) : Number.isInteger(number);
  return number !== undefined && isWritten && number >= min && number <= max ? number : undefined;
}

/** Its words, one space apart. */
function readOutcomes(text: string, definition: OutcomesSetting): string | undefined {
  const { min, max, kinds } = definition;
  const words = text.trim().split(/\s+/);
  const isKnown = (word: string) =>
    kinds.includes(word) ||
    classesOf(definition).includes(word) ||
    (/^\d{3}$/.test(word) && Number(word) >= min && Number(word) <= max);
  return words.every(isKnown) ? words.join(' ') : undefined;
}

function classesOf({ min, max }: OutcomesSetting): string[] {
  return ['2xx', '3xx', '4xx', '5xx'].filter((word) => {
    const hundred = Number(word.charAt(0)) * 100;
    return hundred >= min && hundred <= max;
  });
}

export function defaultSettings(profile: 'lenient' | 'v1preview' | 'v2preview'): Settings {
  const defaults = Object.entries<SettingDefinition>(SETTINGS).map(([key, definition]) => {
    const own =
      profile === 'lenient' || definition.unit === 'outcomes' ? undefined : definition[profile];
    return [key, own ?? definition.default];
  });
  return Object.fromEntries(defaults) as Settings;
}

/** Those whose value a profile chooses, as it chooses switches. */
export function settingsOfProfile(
  profile: 'lenient' | 'v1preview' | 'v2preview',
): Partial<Settings> {
  const defaults = defaultSettings(profile);
  const chosen = Object.entries<SettingDefinition>(SETTINGS).filter(
    ([, definition]) => 'v1preview' in definition || 'v2preview' in definition,
  );
  return Object.fromEntries(chosen.map(([key]) => [key, defaults[key as SettingName]]));
}
