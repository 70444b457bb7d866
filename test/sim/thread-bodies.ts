/** What stories say of assistants, threads, messages and runs, and what their assistants reply. */
import fc from 'fast-check';
import type { Json, Reply, Turn } from '../thread-model/world.ts';
import { some } from './bodies.ts';

export const metadata = fc.constantFrom<Json>({}, { a: '1' }, { a: '2', b: 'ü' });
export const words = fc.constantFrom('one', 'two words', 'drei — ü');
const text = words.map((one) => ({ text: one }));
const takes = some<string>([2, '0s'], [3, '1500ms'], [2, '1m'], [1, '10m'], [1, '700s']);

const call = fc.record({
  name: fc.constantFrom('look_up', 'weather'),
  arguments: fc.constantFrom<Json>({}, { id: 7 }, { city: 'Bonn', at: [1, 2] }),
});
const calls = fc.array(call, { minLength: 1, maxLength: 3 });
const ending = some<Turn>(
  [4, text],
  [1, fc.record({ failed: fc.constant({ code: 'server_error', message: 'Sorry.' }) })],
);
const tools = fc.record(
  { tool_calls: calls, next: some<Turn>([3, ending], [1, fc.record({ tool_calls: calls })]) },
  { requiredKeys: ['tool_calls'] },
);
const turn = some<Turn>(
  [4, text],
  [2, fc.record({ text: words, takes })],
  [1, fc.record({ text: words, incomplete: fc.constant('max_completion_tokens') })],
  [8, tools],
  [2, fc.record({ tool_calls: calls, takes })],
  [
    2,
    fc.record(
      {
        failed: fc.constantFrom(
          { code: 'server_error', message: 'Sorry.' },
          { code: 'rate_limit_exceeded', message: 'Later.' },
        ),
        text: words,
        takes,
      },
      { requiredKeys: ['failed'] },
    ) as fc.Arbitrary<Turn>,
  ],
  [2, { stuck: true }],
);
export const reply = some<Reply>(
  [1, { kind: 'echo' }],
  [
    7,
    fc.record(
      {
        kind: fc.constant('script' as const),
        turns: fc.array(turn, { minLength: 1, maxLength: 3 }),
        repeat: fc.constant('cycle' as const),
      },
      { requiredKeys: ['kind', 'turns'] },
    ),
  ],
);

export const message = fc.record(
  { role: some<string>([12, 'user'], [2, 'assistant'], [1, 'human']), content: words, metadata },
  { requiredKeys: ['role', 'content'] },
);
const rightMessage = fc.record({ role: fc.constant('user'), content: words });
export const assistantBody = fc.record(
  { model: fc.constantFrom('gpt-4.1', 'gpt-4o'), name: words, instructions: words, metadata },
  { requiredKeys: ['model'] },
);
export const runBody: fc.Arbitrary<Json> = some<Json>(
  [6, {}],
  [
    2,
    fc.record(
      {
        model: fc.constant('other'),
        instructions: words,
        metadata,
        additional_instructions: words,
        additional_messages: fc.array(rightMessage, { maxLength: 2 }),
      },
      { requiredKeys: [] },
    ),
  ],
);
export const threadBody = fc.record(
  { messages: fc.array(rightMessage, { maxLength: 3 }), metadata },
  { requiredKeys: [] },
);
