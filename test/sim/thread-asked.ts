/** What is asked for a step: paths are relative to the project, those of control to its control. */
import { outputsFor } from '../thread-model/runs.ts';
import type { ThreadStep } from '../thread-model/step.ts';
import { idOf, numbered, type ThreadWorld } from '../thread-model/world.ts';

export interface ThreadRequest {
  of: 'api' | 'control';
  method: string;
  path: string;
  body?: unknown;
}

export function threadRequest(world: ThreadWorld, step: ThreadStep): ThreadRequest {
  const thread = 'thread' in step ? numbered(world.threads, step.thread) : undefined;
  const run = 'run' in step && thread ? numbered(thread.runs, step.run) : undefined;
  const assistant =
    'assistant' in step ? idOf(numbered(world.assistants, step.assistant), 'asst') : '';
  const ofThread = `/threads/${idOf(thread, 'thread')}`;
  const ofRun = `${ofThread}/runs/${idOf(run, 'run')}`;
  const api = (method: string, path: string, body?: unknown): ThreadRequest => {
    return { of: 'api', method, path, body };
  };
  switch (step.do) {
    case 'make assistant':
      return api('POST', '/assistants', step.body);
    case 'get assistant':
      return api('GET', `/assistants/${assistant}`);
    case 'update assistant':
      return api('POST', `/assistants/${assistant}`, step.body);
    case 'delete assistant':
      return api('DELETE', `/assistants/${assistant}`);
    case 'set reply':
      return { of: 'control', method: 'PUT', path: `/agents/${assistant}/reply`, body: step.reply };
    case 'make thread':
      return api('POST', '/threads', step.body);
    case 'get thread':
      return api('GET', ofThread);
    case 'update thread':
      return api('POST', ofThread, step.body);
    case 'delete thread':
      return api('DELETE', ofThread);
    case 'add message':
      return api('POST', `${ofThread}/messages`, step.body);
    case 'get message':
    case 'update message':
    case 'delete message': {
      const path = `${ofThread}/messages/${idOf(numbered(thread?.messages ?? [], step.message), 'msg')}`;
      if (step.do === 'update message') return api('POST', path, step.body);
      return api(step.do === 'get message' ? 'GET' : 'DELETE', path);
    }
    case 'start run':
      return api('POST', `${ofThread}/runs`, { assistant_id: assistant, ...step.body });
    case 'start thread and run':
      return api('POST', '/threads/runs', { assistant_id: assistant, ...step.body });
    case 'get run':
      return api('GET', ofRun);
    case 'update run':
      return api('POST', ofRun, step.body);
    case 'cancel run':
      return api('POST', `${ofRun}/cancel`);
    case 'submit outputs': {
      const outputs = outputsFor(run, step.outputs);
      const named = [...(outputs ?? [])].map(([id, output]) => ({ tool_call_id: id, output }));
      return api('POST', `${ofRun}/submit_tool_outputs`, outputs ? { tool_outputs: named } : {});
    }
    case 'get run step':
      return api('GET', `${ofRun}/steps/${idOf(numbered(run?.steps ?? [], step.step), 'step')}`);
    case 'step run': {
      const { to, last_error } = step;
      const path = `/runs/${idOf(run, 'run')}:step`;
      return { of: 'control', method: 'POST', path, body: { to, last_error } };
    }
    case 'leaf through': {
      const { what, limit, order } = step;
      const paths = {
        assistants: '/assistants',
        threads: '/threads',
        messages: `${ofThread}/messages`,
        runs: `${ofThread}/runs`,
        steps: `${ofRun}/steps`,
      };
      return api('GET', `${paths[what]}?limit=${limit}${order ? `&order=${order}` : ''}`);
    }
  }
}
