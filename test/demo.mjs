// The main job in a minute: an official client makes a routine, time moves, a 503 is retried, and the run tells the story.
import { AIProjectClient } from '@azure/ai-projects';
import { DefaultAzureCredential } from '@azure/identity';

const endpoint = process.env.AZURE_AI_PROJECT_ENDPOINT;
const control = `${new URL(process.env.IDENTITY_ENDPOINT).origin}/_emulator/projects/local`;
const colour =
  process.stdout.isTTY || process.env.FORCE_COLOR
    ? (code, text) => `\x1b[${code}m${text}\x1b[0m`
    : (_, text) => text;
const bold = (text) => colour(1, text);
const dim = (text) => colour(2, text);
const green = (text) => colour(32, text);
const red = (text) => colour(31, text);

async function ask(method, path, body) {
  const answer = await fetch(control + path, {
    method,
    headers: { 'content-type': 'application/json' },
    ...(body && { body: JSON.stringify(body) }),
  });
  if (!answer.ok) throw new Error(`${method} ${path}: ${answer.status} ${await answer.text()}`);
  return answer.json();
}

const client = new AIProjectClient(endpoint, new DefaultAzureCredential());

console.log(bold('\n1. The official client, unmodified, makes a routine over TLS'));
const routine = await client.beta.routines.createOrUpdate('daily-summary', {
  description: 'Runs a daily summary agent on weekday mornings.',
  enabled: true,
  triggers: {
    'weekday-morning': { type: 'schedule', cron_expression: '0 7 * * 1-5', time_zone: 'UTC' },
  },
  action: { type: 'invoke_agent_responses_api', agent_name: process.env.AGENT_NAME },
});
console.log(
  `   ${routine.name}  enabled=${routine.enabled}  created ${dim(routine.createdAt?.toISOString() ?? routine.created_at?.toISOString())}`,
);

console.log(bold('\n2. The agent will answer 503 once'));
await ask('PUT', '/faults', { faults: [{ agent: process.env.AGENT_NAME, attempts: [503, 'ok'] }] });

console.log(bold('\n3. Time moves three minutes'));
const { fired, now } = await ask('POST', '/clock:advance', { by: '3m' });
for (const firing of fired) console.log(`   ${dim(firing.at)}  ${firing.routine} fired`);
console.log(`   ${dim(now)}  now`);

console.log(bold('\n4. What the journal says of the attempts'));
const { entries } = await ask('GET', '/journal?kind=attempt');
for (const entry of entries) {
  const status = entry.status < 300 ? green(entry.status) : red(entry.status);
  const next = entry.next === 'retry' ? `retry at ${entry.retry_at}` : entry.next;
  console.log(`   ${dim(entry.at)}  attempt ${entry.attempt}  ${status}  ${next}`);
}

console.log(bold('\n5. What the official client says of the run'));
for await (const run of client.beta.routines.listRuns('daily-summary')) {
  console.log(
    `   ${run.id}  phase=${green(run.phase)}  source=${run.attempt_source}  response=${run.response_id}`,
  );
}
console.log(
  `\nNext: ${bold('npx foundrite start')} and point your client at it. No Azure was involved.\n`,
);
