/**
 * What may differ between one world and another: switches (an assumed or contradicted rule has several values, one is in
 * force) and settings. A profile is a named choice of all switches, and of a few settings.
 */
import {
  allowedFor,
  defaultSettings,
  isSetting,
  readSetting,
  SETTINGS,
  type Settings,
  settingsOfProfile,
} from './settings.ts';

export type ProfileName = 'lenient' | 'v1preview' | 'v2preview';
export const PROFILES: readonly ProfileName[] = ['lenient', 'v1preview', 'v2preview'];

interface SwitchDefinition {
  /** The ledger's rule that has these values. */
  rule: string;
  /** The first value is the lenient default. */
  values: readonly [string, ...string[]];
  /** Values of the other profiles, where they differ from the first. */
  v1preview?: string;
  v2preview?: string;
}

/** Every switch. Basis and source of each are in the ledger under the rule. */
export const SWITCHES = {
  envelope: {
    rule: 'list/envelope',
    values: ['superset', 'v1', 'v2'],
    v1preview: 'v1',
    v2preview: 'v2',
  },
  timestamps: {
    rule: 'routine/timestamps',
    values: ['auto', 'unix', 'iso'],
    v1preview: 'iso',
    v2preview: 'unix',
  },
  default_order: { rule: 'list/default-order', values: ['asc', 'desc'] },
  agents_order: { rule: 'agent/list-newest-first', values: ['desc', 'asc'] },
  limit_out_of_range: {
    rule: 'list/limit-1-to-100',
    values: ['clamp', 'refuse'],
    v1preview: 'refuse',
    v2preview: 'refuse',
  },
  require_preview_header: {
    rule: 'request/preview-header',
    values: ['off', 'on'],
    v1preview: 'on',
  },
  require_api_version: { rule: 'request/api-version', values: ['off', 'on'], v2preview: 'on' },
  unknown_api_version: {
    rule: 'request/api-version-known',
    values: ['accept', 'refuse'],
    v2preview: 'refuse',
  },
  unauthorized_body: { rule: 'request/unauthorized-body', values: ['hybrid', 'flat'] },
  token_audience: { rule: 'request/token-audience', values: ['any', 'checked'] },
  put_create_status: { rule: 'routine/put-answers-200', values: ['200', '201'] },
  delete_missing: { rule: 'routine/delete-missing', values: ['204', '404'], v1preview: '404' },
  routine_names: { rule: 'routine/name-characters', values: ['any', 'plain'] },
  trigger_names: { rule: 'routine/trigger-name-characters', values: ['any', 'plain'] },
  require_agent_identity: {
    rule: 'routine/agent-has-identity',
    values: ['off', 'on'],
    v1preview: 'on',
  },
  workflow_agents: {
    rule: 'routine/workflow-agents',
    values: ['accept', 'refuse'],
    v2preview: 'refuse',
  },
  agent_checked: { rule: 'routine/agent-exists', values: ['on_put', 'on_fire'] },
  agent_endpoint_id: {
    rule: 'action/endpoint-id',
    values: ['accept', 'refuse'],
    v1preview: 'refuse',
  },
  event_triggers: {
    rule: 'routine/event-triggers',
    values: ['accept', 'refuse'],
    v1preview: 'refuse',
  },
  conversation_field: {
    rule: 'action/conversation-spelling',
    values: ['both', 'conversation_id', 'conversation'],
    v1preview: 'conversation_id',
    v2preview: 'conversation',
  },
  conversation_conflict: {
    rule: 'action/conversation-conflict',
    values: ['refuse', 'conversation'],
  },
  missing_time_zone: { rule: 'routine/schedule-needs-time-zone', values: ['refuse', 'utc'] },
  past_timer: { rule: 'routine/timer-is-future', values: ['refuse', 'never_fires'] },
  timer_zone: { rule: 'routine/timer-time-zone', values: ['accept', 'refuse'] },
  after_timer: { rule: 'routine/timer-inactive-after-firing', values: ['unchanged', 'disabled'] },
  enable_rearms_timer: { rule: 'routine/enable-rearms-timer', values: ['no', 'yes'] },
  cron_days: { rule: 'cron/day-rule', values: ['or', 'and'] },
  cron_gap: { rule: 'cron/clock-goes-forward', values: ['after', 'skip'] },
  cron_repeat: { rule: 'cron/clock-goes-back', values: ['first', 'both'] },
  dispatch_input: {
    rule: 'dispatch/input',
    values: ['any', 'string', 'required'],
    v1preview: 'string',
    v2preview: 'required',
  },
  dispatch_when_disabled: { rule: 'dispatch/when-disabled', values: ['allow', 'refuse'] },
  dispatch_source: {
    rule: 'dispatch/attempt-source',
    values: ['queued_dispatch', 'manual_dispatch'],
  },
  dispatch_repeat: { rule: 'dispatch/repeat', values: ['new_run', 'same_run'] },
  run_status: { rule: 'run/status-words', values: ['upper', 'title'] },
  runs_of_deleted: { rule: 'run/kept-after-delete', values: ['listed', 'hidden'] },
  runs_of_recreated: { rule: 'run/new-routine-starts-empty', values: ['empty', 'kept'] },
  retry_after: { rule: 'delivery/retry-after', values: ['ignored', 'honoured'] },
  on_delete: { rule: 'delivery/routine-deleted', values: ['finish', 'cancel'] },
  on_disable: { rule: 'delivery/routine-disabled', values: ['finish', 'cancel'] },
  on_replace: { rule: 'delivery/routine-replaced', values: ['old_action', 'new_action', 'cancel'] },
  overlap: { rule: 'delivery/overlap', values: ['allow', 'queue', 'skip'] },
  late_schedule: { rule: 'schedule/late', values: ['skip', 'once', 'all'] },
  late_timer: { rule: 'timer/late', values: ['fire', 'drop'] },
  conflict_on_existing_agent: {
    rule: 'agent/create-again-makes-a-version',
    values: ['new_version', 'conflict'],
  },
  delete_with_sessions: { rule: 'agent/delete-ends-sessions', values: ['terminate', 'refuse'] },
  protocols_patch: { rule: 'agent/patch-of-protocols', values: ['replace', 'merge'] },
  drafts: { rule: 'version/draft-by-flag', values: ['enabled', 'disabled'] },
  first_draft: { rule: 'version/first-may-be-a-draft', values: ['accept', 'refuse'] },
  delete_version_in_use: { rule: 'version/delete-in-use', values: ['refuse', 'allow'] },
  deleted_version: { rule: 'version/deleted-answers-404', values: ['not_found', 'shown'] },
  dedup_versions: { rule: 'agent/identical-definition', values: ['on', 'off'] },
  session_isolation: { rule: 'session/kept-apart', values: ['off', 'on'] },
  unknown_session: { rule: 'call/session-is-known', values: ['refuse', 'create'] },
  session_by_previous_response: {
    rule: 'response/previous-does-not-bind-the-session',
    values: ['new', 'same'],
  },
  stream_end: { rule: 'stream/no-done-line', values: ['bare', 'done'] },
  unexposed_protocol: { rule: 'call/protocol-is-exposed', values: ['404', '400'] },
  openai_v1_api_version: { rule: 'response/project-api-version', values: ['accept', 'refuse'] },
  disabled_agent_code: {
    rule: 'agent/disabled-answers-403',
    values: ['agent_disabled', 'AgentDisabled'],
  },
} as const satisfies Record<string, SwitchDefinition>;

export type SwitchName = keyof typeof SWITCHES;
export type Switches = { [Name in SwitchName]: (typeof SWITCHES)[Name]['values'][number] };

export interface Profile {
  name: ProfileName;
  switches: Switches;
  settings: Settings;
}

export interface ProfileChange {
  profile?: string | undefined;
  switches?: Record<string, unknown> | undefined;
  settings?: Record<string, unknown> | undefined;
}

/** What is wrong with a change of profile: the field, and a sentence that says what to do. */
export interface ProfileProblem {
  param: string;
  message: string;
}

/** Applies a change to a base; naming a profile sets every switch first. Answers the profile, or the first problem. */
export function chooseProfile(
  base: Profile | undefined,
  change: ProfileChange,
): Profile | ProfileProblem {
  const name = change.profile ?? base?.name ?? 'lenient';
  if (!isOneOf(PROFILES, name)) {
    return {
      param: 'profile',
      message: `There is no profile '${name}'. Use one of: ${PROFILES.join(', ')}.`,
    };
  }
  const switches: Record<string, string> =
    base && change.profile === undefined ? { ...base.switches } : switchesOf(name);
  for (const [key, value] of Object.entries(change.switches ?? {})) {
    const definition = (SWITCHES as Record<string, SwitchDefinition>)[key];
    if (!definition || !Object.hasOwn(SWITCHES, key)) {
      return {
        param: `switches.${key}`,
        message: `There is no switch '${key}'. ${nearest(key, Object.keys(SWITCHES))}`,
      };
    }
    if (!definition.values.includes(String(value))) {
      return {
        param: `switches.${key}`,
        message: `The switch '${key}' cannot be ${JSON.stringify(value)}. Use one of: ${definition.values.join(', ')}.`,
      };
    }
    switches[key] = String(value);
  }
  const settings: Record<string, number | string> = {
    ...(base?.settings ?? defaultSettings(name)),
    ...(change.profile === undefined ? {} : settingsOfProfile(name)),
  };
  for (const [key, value] of Object.entries(change.settings ?? {})) {
    const param = `settings.${key}`;
    if (!isSetting(key)) {
      return {
        param,
        message: `There is no setting '${key}'. ${nearest(key, Object.keys(SETTINGS))}`,
      };
    }
    const read = readSetting(key, value);
    if (read === undefined) {
      return {
        param,
        message: `The setting '${key}' cannot be ${JSON.stringify(value)}. Use ${allowedFor(key)}.`,
      };
    }
    settings[key] = read;
  }
  return { name, switches: switches as Switches, settings: settings as Settings };
}

/** A profile as a world keeps it. One that was kept by an earlier version lacks what came since. */
export function keptProfile(text: string): Profile {
  const { name, switches, settings } = JSON.parse(text) as Profile;
  return {
    name,
    switches: { ...(switchesOf(name) as Switches), ...switches },
    settings: { ...defaultSettings(name), ...settings },
  };
}

function switchesOf(profile: ProfileName): Record<string, string> {
  const chosen: Record<string, string> = {};
  for (const [key, definition] of Object.entries(SWITCHES) as [string, SwitchDefinition][]) {
    chosen[key] = (profile === 'lenient' ? undefined : definition[profile]) ?? definition.values[0];
  }
  return chosen;
}

/** How many rules of the ledger are assumed: a test counts them, so that starting need not read the ledger. */
export const ASSUMED_RULES = 123;

/** The switches of assumed rules: the others choose between sources that disagree. */
export const ASSUMED_SWITCHES: readonly SwitchName[] = [
  'conversation_conflict',
  'dispatch_when_disabled',
  'dispatch_repeat',
  'retry_after',
  'on_delete',
  'on_disable',
  'on_replace',
  'overlap',
  'unknown_api_version',
  'default_order',
  'agents_order',
  'first_draft',
  'delete_version_in_use',
  'deleted_version',
  'unknown_session',
  'unexposed_protocol',
  'stream_end',
  'limit_out_of_range',
  'routine_names',
  'agent_checked',
  'workflow_agents',
  'runs_of_recreated',
  'trigger_names',
  'cron_days',
  'cron_gap',
  'cron_repeat',
  'after_timer',
  'enable_rearms_timer',
  'late_schedule',
  'late_timer',
];

function nearest(word: string, words: string[]): string {
  const near = words.filter(
    (other) =>
      other.includes(word) ||
      word.split('_').some((part) => part.length > 3 && other.includes(part)),
  );
  const guess = near.length > 0 && near.length <= 3 ? `Did you mean ${near.join(' or ')}? ` : '';
  return `${guess}Known are: ${words.join(', ')}.`;
}

function isOneOf<Value extends string>(values: readonly Value[], value: string): value is Value {
  return (values as readonly string[]).includes(value);
}

export function isProblem(value: Profile | ProfileProblem): value is ProfileProblem {
  return 'param' in value;
}
