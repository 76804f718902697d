// How a Maxwell has ended, by its exit code and what it wrote. The texts are those of 1.44.1.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { known, unknown, type Known } from '../../../exporter/runtime/known.ts';
import { classifyEnd } from '../../../remediator/actions/maxwell/classify.ts';
import type { ServiceEnd } from '../../../remediator/supervisors/supervisor.ts';

const firstLine =
  '2026-11-21 13:07:16 INFO  Maxwell - Starting Maxwell. maxMemory: 268435456 bufferMemoryUsage: 0.25\n';
const sourceGone = 'java.util.concurrent.TimeoutException: Maximum reconnection attempts reached.\n';
const help = 'Please specify kafka.bootstrap.servers\n\nOption   Description\n--help [String]    display help\n';

function codeOf(exitCode: number, text: string, sourceUpSeconds: Known<number> = known(3_600, 0)): string {
  const last: ServiceEnd = {
    incarnation: { id: 'i', pid: 1, startedAtMs: 0 },
    endedAtMs: 1,
    exit: known({ exitCode, signal: null }, 1),
    asked: null,
  };
  const log = known({ text, complete: true, why: null }, 1);
  return classifyEnd(last, log, { sourceUpSeconds, wantedSeconds: 60 }).code;
}

test('a Maxwell that lost its source, with its first line still in the log: not its options are at fault', () => {
  assert.equal(codeOf(1, firstLine + sourceGone), 'source_lost');
  assert.equal(codeOf(1, firstLine + sourceGone, known(59, 0)), 'source_settling');
});

test('wrong and missing options', () => {
  assert.equal(codeOf(1, 'joptsimple.UnrecognizedOptionException: nosuch is not a recognized option\n'), 'bad_options');
  assert.equal(codeOf(1, help), 'bad_options');
});

test('whether the source is up again is not known', () => {
  assert.equal(codeOf(1, firstLine + sourceGone, unknown('refused')), 'source_unknown');
});
