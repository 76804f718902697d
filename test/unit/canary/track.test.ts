// What is told of tokens that were written and seen, or not.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { CanaryTrack, type SeenView } from '../../../exporter/systems/canary/facts-track.ts';

const wallMs = 1_790_000_000_000;
const plan = {
  write: { target: 'db1' },
  seenAt: [{ target: 'redis1' }, { target: 'redis2' }],
  everyMs: 10_000,
  lateAfterMs: 10_000,
  giveUpAfterMs: 60_000,
};
const trackOf = (own = 123): CanaryTrack => new CanaryTrack(plan, { wallMs, monoMs: 5_000, own });

function endOf(track: CanaryTrack, nowMs: number, name = 'redis1'): SeenView {
  const end = track.view(nowMs).ends.find(({ seenAt }) => seenAt === name);
  assert.ok(end);
  return end;
}

/** state, latency, outstanding, lag; numbers that are not known as `?` */
function told(track: CanaryTrack, nowMs: number, name = 'redis1'): unknown[] {
  const { state, latencySeconds, outstandingSeconds, lagSeconds } = endOf(track, nowMs, name);
  return [state, ...[latencySeconds, outstandingSeconds, lagSeconds].map((k) => (k.known ? k.value : '?'))];
}

function send(track: CanaryTrack, nowMs: number): number {
  const token = track.send(nowMs);
  assert.ok(token !== undefined);
  track.written();
  return token;
}

test('before anything is known, nothing is a number', () => {
  const track = trackOf();
  assert.deepEqual(told(track, 5_000), ['unknown', '?', '?', '?']);
  assert.equal(track.view(5_000).state, 'unknown');
  track.looked('redis1', undefined, 5_000);
  assert.deepEqual(told(track, 5_000), ['unknown', '?', '?', '?']);
});

test('a token is a growing decimal number that holds its time', () => {
  const track = trackOf();
  const [a, b, c] = [send(track, 5_000), send(track, 5_000), send(track, 15_500)];
  assert.deepEqual([a, b, c], [wallMs * 1000 + 123, (wallMs + 1) * 1000 + 123, (wallMs + 10_500) * 1000 + 123]);
  assert.ok(Number.isSafeInteger(c));
});

test('seen: the latency is that of the newest, which proves the older ones; each end for itself', () => {
  const track = trackOf();
  const first = send(track, 5_000);
  track.looked('redis1', undefined, 6_000);
  assert.deepEqual(told(track, 6_000), ['unknown', '?', 1, 1]);
  const second = send(track, 15_000);
  track.looked('redis1', `{"token": ${String(second)}}`, 15_400);
  track.looked('redis2', String(first), 15_500);
  assert.deepEqual(told(track, 15_400), ['ok', 0.4, 0, 0.4]);
  assert.deepEqual(told(track, 15_500, 'redis2'), ['ok', 10.5, 0.5, 10.5]);
  assert.deepEqual([endOf(track, 15_500).seenTotal, endOf(track, 15_500, 'redis2').seenTotal], [2, 1]);
});

test('whatever the form: in a list, a hash, a decimal, a longer text; but not within a longer number', () => {
  for (const [text, isSeen] of [
    ['42 TOKEN x', true],
    ['{"a":"TOKEN"}', true],
    ['TOKEN.0', true],
    ['é"TOKEN"é', true],
    ['1TOKEN', false],
    ['TOKEN7', false],
    ['', false],
  ] as const) {
    const track = trackOf();
    track.looked('redis1', text.replace('TOKEN', String(send(track, 5_000))), 5_100);
    assert.equal(endOf(track, 5_100).seenTotal, isSeen ? 1 : 0, text);
  }
});

test('a time in microseconds that ends as the tokens do is none of them', () => {
  const track = trackOf();
  const [first, second] = [send(track, 5_000), send(track, 15_000)];
  for (const other of [first + 1000, first + 5_000_000, second - 1000]) {
    track.looked('redis1', `{"ts_us":${String(other)}}`, 15_100);
  }
  assert.equal(endOf(track, 15_100).seenTotal, 0);
  track.looked('redis1', `{"ts_us":${String(second - 1000)},"token":${String(first)}}`, 15_200);
  assert.equal(endOf(track, 15_200).seenTotal, 1);
  assert.deepEqual(told(track, 15_200), ['ok', 10.2, 0.2, 10.2]);
});

test('tokens of another run, of another exporter and of the future prove nothing', () => {
  const track = trackOf();
  const token = send(track, 5_000);
  for (const other of [token - 1_000_000, token + 1, token - 1, token + 1_000, 123]) {
    track.looked('redis1', String(other), 5_100);
    assert.equal(endOf(track, 5_100).seenTotal, 0, String(other));
  }
});

test('stuck: the age of the oldest grows, late, then lost, counted once each; it goes on growing', () => {
  const track = trackOf();
  send(track, 5_000);
  track.looked('redis1', undefined, 14_000);
  assert.deepEqual(told(track, 14_000), ['unknown', '?', 9, 9]);
  send(track, 15_000);
  track.looked('redis1', undefined, 16_000);
  assert.deepEqual(told(track, 16_000), ['late', '?', 11, 11]);
  const last = send(track, 25_000);
  track.looked('redis1', undefined, 66_000);
  track.looked('redis1', undefined, 66_100);
  assert.deepEqual([told(track, 66_000), endOf(track, 66_000).lostTotal], [['lost', '?', 61, 61], 1]);
  track.looked('redis1', undefined, 105_000);
  assert.deepEqual([told(track, 105_000), endOf(track, 105_000).lostTotal], [['lost', '?', 100, 100], 3]);
  track.looked('redis1', String(last), 106_000);
  assert.deepEqual([told(track, 106_000), endOf(track, 106_000).lostTotal], [['ok', 81, 0, 81], 3]);
});

test('hopeless at every end: nothing more is sent but one token in give_up_after', () => {
  const track = trackOf();
  send(track, 5_000);
  assert.ok(track.send(60_000));
  track.looked('redis1', undefined, 66_000);
  assert.equal(track.send(66_000), undefined);
  assert.equal(track.view(66_000).state, 'held');
  assert.equal(track.send(119_999), undefined);
  const token = send(track, 120_000);
  assert.equal(track.view(120_000).state, 'ok');
  assert.equal(track.send(121_000), undefined);
  track.looked('redis2', String(token), 121_500);
  assert.ok(track.send(122_000), 'one end has come back');
});

test('an end that is away says nothing, and loses nothing meanwhile', () => {
  const track = trackOf();
  const token = send(track, 5_000);
  track.lookFailed('redis1', 'unreachable', 'connection refused', 70_000);
  assert.deepEqual(told(track, 80_000), ['unreachable', '?', '?', '?']);
  assert.equal(endOf(track, 80_000).lostTotal, 0);
  track.looked('redis1', String(token), 81_000);
  assert.deepEqual([told(track, 81_000), endOf(track, 81_000).lostTotal], [['ok', 76, 0, 76], 0]);
});

test('a write that failed is not waited for, and counts all the same when it is seen', () => {
  const track = trackOf();
  const token = track.send(5_000);
  assert.ok(token !== undefined);
  track.notWritten(token, 'unreachable', 'no answer in time', 'deadline');
  track.looked('redis1', undefined, 30_000);
  assert.deepEqual(told(track, 30_000), ['unknown', '?', '?', '?']);
  assert.deepEqual([track.view(30_000).state, [...track.failures]], ['unreachable', [['deadline', 1]]]);
  track.looked('redis1', String(token), 31_000);
  assert.deepEqual(told(track, 31_000), ['ok', 26, 0, 26]);
});

test('refused is a state and no failure; numbers of before are not served for ever', () => {
  const track = trackOf();
  track.looked('redis1', String(send(track, 5_000)), 5_200);
  const next = track.send(15_000);
  assert.ok(next !== undefined);
  track.notWritten(next, 'refused', 'db1 is read only');
  assert.deepEqual([track.view(15_000).state, track.failures.size], ['refused', 0]);
  assert.deepEqual(told(track, 35_200), ['ok', 0.2, 0, 0.2]);
  assert.deepEqual(told(track, 35_201), ['unknown', '?', '?', '?']);
});

test('looks: none while nothing is waited for; then growing with the age, within a quarter of the interval', () => {
  const track = trackOf();
  assert.equal(track.nextLookMs('redis1', 5_000), undefined);
  const token = send(track, 5_000);
  assert.equal(track.nextLookMs('redis1', 5_000), 100);
  assert.equal(track.nextLookMs('redis1', 10_000), 500);
  assert.equal(track.nextLookMs('redis1', 500_000), 2_500);
  track.lookFailed('redis1', 'unreachable', 'away', 6_000);
  assert.equal(track.nextLookMs('redis1', 6_000), 2_500);
  track.looked('redis1', String(token), 7_000);
  assert.equal(track.nextLookMs('redis1', 7_000), undefined);
});

test('a long outage takes bounded memory, and the oldest keeps its age', () => {
  const track = new CanaryTrack({ ...plan, giveUpAfterMs: 1e9 }, { wallMs, monoMs: 0, own: 1 });
  let last = 0;
  for (let i = 0; i < 5_000; i += 1) last = send(track, i * 10_000);
  track.looked('redis1', undefined, 50_000_000);
  assert.deepEqual(told(track, 50_000_000), ['late', '?', 50_000, 50_000]);
  track.looked('redis1', String(last), 50_000_000);
  assert.deepEqual(told(track, 50_000_000), ['ok', 10, 0, 10]);
  assert.ok(endOf(track, 50_000_000).seenTotal <= 512);
});
