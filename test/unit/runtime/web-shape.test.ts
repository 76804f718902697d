import assert from 'node:assert/strict';
import { IncomingMessage, ServerResponse } from 'node:http';
import { Socket } from 'node:net';
import { test } from 'node:test';
import { wellFormed } from '../../../exporter/runtime/web-shape.ts';

/** @returns the status that it is answered with, or 'passed' on to the routes */
function judged(url: string): number | 'passed' {
  const request = new IncomingMessage(new Socket());
  Object.assign(request, { method: 'GET', url, rawHeaders: ['Host', 'x:9'], headers: { host: 'x:9' } });
  const response = new ServerResponse(request);
  const passed: string[] = [];
  wellFormed(({ url: seen = '' }) => passed.push(seen))(request, response);
  return passed.length > 0 ? 'passed' : response.statusCode;
}

test('a backslash in the path is refused, raw as in the two spellings that stand for it; in a value it is a character', () => {
  for (const path of ['/\\metrics', '/metrics\\', '/%5cmetrics', '/metrics%5C', '/x%5c..%5c-/reload?a=b', '/%5c?']) {
    assert.equal(judged(path), 400, path);
  }
  for (const path of ['/metrics', '/%255c', '/probe?target=a%5cb', '/probe?target=a%5Cb?c%5c']) {
    assert.equal(judged(path), 'passed', path);
  }
});

test('no proxy, no fragment', () => {
  for (const url of ['http://x/metrics', '*', '', '/metrics#a', '/metrics?a#b']) assert.equal(judged(url), 400, url);
});
