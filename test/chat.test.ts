import { describe, expect, it } from 'vitest';
import { chatRequest, choiceOf, questionOf, saidBy } from '../emulator/chat.ts';
import { drawFrom } from '../emulator/ids.ts';

const DRAW = drawFrom('chat');
const FUNCTION = { type: 'function', name: 'look', parameters: { type: 'object' }, strict: true };

/** What a chat model is asked for a definition and a request. */
function asked(definition: object, body: object, earlier: unknown[] = [], model?: string) {
  return chatRequest(questionOf({ ...definition }, { ...body }, earlier, model));
}

describe('a question to a chat model', () => {
  it('has the definition’s words, what was said before, and what is said now', () => {
    const earlier = [
      { type: 'message', role: 'developer', content: [{ type: 'input_text', text: 'Hush.' }] },
      { type: 'reasoning', id: 'rs_1', summary: [] },
      { type: 'function_call', call_id: 'c1', name: 'look', arguments: '{}' },
      { type: 'function_call', call_id: 'c2', name: 'go', arguments: '{"a":1}' },
      { type: 'function_call_output', call_id: 'c1', output: 'seen' },
      { type: 'function_call_output', call_id: 'c2', output: { a: 1 } },
      { type: 'message', role: 'assistant', content: [{ type: 'refusal', refusal: 'No.' }] },
    ];

    expect(asked({ model: 'm', instructions: 'Be short.' }, { input: 'now' }, earlier)).toEqual({
      model: 'm',
      messages: [
        { role: 'system', content: 'Be short.' },
        { role: 'system', content: 'Hush.' },
        {
          role: 'assistant',
          content: null,
          tool_calls: [
            { id: 'c1', type: 'function', function: { name: 'look', arguments: '{}' } },
            { id: 'c2', type: 'function', function: { name: 'go', arguments: '{"a":1}' } },
          ],
        },
        { role: 'tool', tool_call_id: 'c1', content: 'seen' },
        { role: 'tool', tool_call_id: 'c2', content: '{"a":1}' },
        { role: 'assistant', content: 'No.' },
        { role: 'user', content: 'now' },
      ],
    });
  });

  it.each([
    [{ temperature: 0.2, top_p: 0.5 }, {}, { temperature: 0.2, top_p: 0.5 }],
    [{ temperature: 0.2 }, { temperature: 1 }, { temperature: 1 }],
    [{}, { max_output_tokens: 5 }, { max_tokens: 5 }],
    [{ reasoning: { effort: 'low' } }, {}, { reasoning_effort: 'low' }],
    [{ reasoning: { effort: null } }, {}, {}],
    [{ text: { format: { type: 'text' } } }, {}, {}],
    [
      { text: { format: { type: 'json_schema', name: 's', schema: {} } } },
      {},
      { response_format: { type: 'json_schema', json_schema: { name: 's', schema: {} } } },
    ],
    [
      { tools: [FUNCTION, { type: 'code_interpreter' }], tool_choice: 'auto' },
      {},
      {
        tools: [
          {
            type: 'function',
            function: { name: 'look', parameters: { type: 'object' }, strict: true },
          },
        ],
        tool_choice: 'auto',
      },
    ],
    [
      { tools: [FUNCTION], tool_choice: { type: 'function', name: 'look' } },
      {},
      expect.objectContaining({ tool_choice: { type: 'function', function: { name: 'look' } } }),
    ],
    [{ tools: [{ type: 'code_interpreter' }], tool_choice: 'required' }, {}, {}],
  ])('of %j and %j is asked with %j', (definition, body, more) => {
    const { messages: _, model: __, ...rest } = asked(definition, { input: 'x', ...body });

    expect(rest).toEqual(more);
  });

  it('may have an image', () => {
    const content = [
      { type: 'input_text', text: 'What is it?' },
      { type: 'input_image', image_url: 'data:image/png;base64,AA==' },
    ];

    expect(asked({}, { input: [{ role: 'user', content }] })).toMatchObject({
      messages: [
        {
          content: [
            { type: 'text', text: 'What is it?' },
            { type: 'image_url', image_url: { url: 'data:image/png;base64,AA==' } },
          ],
        },
      ],
    });
  });

  it('goes to the model that the reply names before the definition’s', () => {
    expect(asked({ model: 'theirs' }, { input: 'x' }, [], 'mine').model).toBe('mine');
    expect(asked({}, { input: 'x', model: 'asked' }).model).toBe('asked');
  });
});

describe('what a chat model says', () => {
  const said = (message: object, finish = 'stop', usage?: object) =>
    saidBy(DRAW, 'r', choiceOf({ choices: [{ message, finish_reason: finish }], usage }));

  it('is a message, with its use of tokens', () => {
    const usage = {
      prompt_tokens: 3,
      completion_tokens: 4,
      total_tokens: 7,
      prompt_tokens_details: { cached_tokens: 1 },
    };

    expect(said({ content: 'hi' }, 'stop', usage)).toMatchObject({
      status: 'completed',
      output: [{ type: 'message', content: [{ type: 'output_text', text: 'hi' }] }],
      usage: {
        input_tokens: 3,
        input_tokens_details: { cached_tokens: 1 },
        output_tokens: 4,
        output_tokens_details: { reasoning_tokens: 0 },
        total_tokens: 7,
      },
    });
  });

  it('is a refusal', () => {
    expect(said({ content: null, refusal: 'No.' }).output).toMatchObject([
      { content: [{ type: 'refusal', refusal: 'No.' }] },
    ]);
  });

  it('is calls of tools, after its words if it has some', () => {
    const tool_calls = [
      { id: 'c1', type: 'function', function: { name: 'look', arguments: '{}' } },
    ];

    expect(said({ content: null, tool_calls }, 'tool_calls').output).toMatchObject([
      { type: 'function_call', call_id: 'c1', name: 'look', arguments: '{}' },
    ]);
    expect(said({ content: 'Wait.', tool_calls }).output.map(({ type }) => type)).toEqual([
      'message',
      'function_call',
    ]);
  });

  it.each([
    ['length', 'max_output_tokens'],
    ['content_filter', 'content_filter'],
  ])('is incomplete when it ends by %s', (finish, reason) => {
    expect(said({ content: 'half' }, finish)).toMatchObject({
      status: 'incomplete',
      incomplete_details: { reason },
    });
  });

  it.each([[{}], [{ choices: [] }], [{ choices: [{}] }]])('is empty in %j', (answer) => {
    expect(saidBy(DRAW, 'r', choiceOf(answer)).output).toMatchObject([
      { content: [{ type: 'output_text', text: '' }] },
    ]);
  });
});
