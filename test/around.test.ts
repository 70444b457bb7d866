import { once } from 'node:events';
import { expect, onTestFinished, test } from 'vitest';
import { start } from './started.ts';

test('from log level info on, each request is a line of JSON on stderr', async () => {
  const running = await start('--log-level', 'info');
  onTestFinished(() => running.end());
  const line = once(running.child.stderr as NodeJS.ReadableStream, 'data');

  await running.ask('GET', '/api/projects/local/routines?limit=1');

  const [printed] = await line;
  expect(JSON.parse(String(printed))).toEqual({
    level: 30,
    time: expect.any(Number),
    method: 'GET',
    path: '/api/projects/local/routines?limit=1',
    status: 200,
    ms: expect.any(Number),
  });
});

test('browsers of the origin that was named are answered, and may read our headers', async () => {
  const running = await start('--cors', 'http://page.test');
  onTestFinished(() => running.end());
  const headers = { origin: 'http://page.test', authorization: 'Bearer t' };

  const answer = await fetch(`${running.url}/api/projects/local/routines`, { headers });

  expect(answer.headers.get('access-control-allow-origin')).toBe('http://page.test');
  expect(answer.headers.get('access-control-expose-headers')).toContain('x-foundrite-now');
});
