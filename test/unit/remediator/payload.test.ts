// Notifications as the versions of Alertmanager send them, written by hand from what is documented:
// prometheus.io/docs/alerting/latest/configuration/#webhook_config, template.Data and webhook.Message in its sources, and
// CHANGELOG.md there for the versions. Go writes <, > and & as \u003c, \u003e and \u0026, and ends with a line feed.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { identOf, isOwn, transitionOf } from '../../../remediator/episodes.ts';
import { maxAlerts, maxBodyBytes, parseBody, type Parsed } from '../../../remediator/payload.ts';
import { generator, type Random } from '../../support/random.ts';

const firing = `{"status":"firing","labels":{"alertname":"MaxwellDown","cluster":"prod","severity":"critical","target":"maxwell1"},"annotations":{"description":"lag \\u003e 30s \\u0026 rising","summary":"Maxwell does not run"},"startsAt":"2026-01-31T12:00:59.527Z","endsAt":"0001-01-01T00:00:00Z","generatorURL":"http://prometheus:9090/graph?g0.expr=up\\u0026g0.tab=1","fingerprint":"6b02fd41a7a8d7a5"}`;
const resolved = `{"status":"resolved","labels":{"alertname":"MaxwellDown","cluster":"prod","target":"maxwell2"},"annotations":{},"startsAt":"2026-01-31T12:00:59.527+01:00","endsAt":"2026-01-31T12:10:59.527Z","generatorURL":"","fingerprint":"0c02fd41a7a8d7a5"}`;
const group =
  '"groupLabels":{"alertname":"MaxwellDown"},"commonLabels":{"alertname":"MaxwellDown","cluster":"prod"},"commonAnnotations":{},"externalURL":"http://am-1:9093"';
const groupKey = '"groupKey":"{}/{remediation=~\\"auto|approve\\"}:{alertname=\\"MaxwellDown\\"}"';

const versions: readonly (readonly [version: string, body: string])[] = [
  // the receiver's name is escaped as a regular expression
  [
    '0.25',
    `{"receiver":"remediator\\\\.main","status":"firing","alerts":[${firing},${resolved}],${group},"version":"4",${groupKey},"truncatedAlerts":0}\n`,
  ],
  [
    '0.28',
    `{"receiver":"remediator","status":"firing","alerts":[${resolved},${firing}],${group},"version":"4",${groupKey},"truncatedAlerts":3}\n`,
  ],
  [
    '0.32',
    `{"receiver":"remediator","status":"firing","alerts":[${firing},${resolved}],${group},"notification_reason":"new alerts added","version":"4",${groupKey},"truncatedAlerts":0}\n`,
  ],
  [
    '0.34',
    `{"receiver":"remediator","status":"firing","alerts":[${firing},${resolved}],${group},"routeLabels":{"team":"db"},"notification_reason":"repeat interval elapsed","version":"4",${groupKey},"truncatedAlerts":0}\n`,
  ],
];

function taken(body: string | Buffer): Extract<Parsed, { ok: true }> {
  const parsed = parseBody(Buffer.from(body));
  assert.ok(parsed.ok, JSON.stringify(parsed));
  return parsed;
}

for (const [version, body] of versions) {
  test(`a notification of Alertmanager ${version}`, () => {
    const { alerts, truncated, unfit } = taken(body);
    assert.deepEqual([alerts.length, truncated, unfit], [2, version === '0.28' ? 3 : 0, 0]);
    const [one, other] = alerts.toSorted((a, b) => (a.status < b.status ? -1 : 1));
    assert.deepEqual(one, {
      status: 'firing',
      labels: { alertname: 'MaxwellDown', cluster: 'prod', severity: 'critical', target: 'maxwell1' },
      annotations: { description: 'lag > 30s & rising', summary: 'Maxwell does not run' },
      startsWallMs: Date.UTC(2026, 0, 31, 12, 0, 59, 527),
      endsWallMs: undefined,
      fingerprint: '6b02fd41a7a8d7a5',
    });
    assert.deepEqual(
      [other?.startsWallMs, other?.endsWallMs],
      [Date.UTC(2026, 0, 31, 11, 0, 59, 527), Date.UTC(2026, 0, 31, 12, 10, 59, 527)],
    );
  });
}

const valid = JSON.parse(versions[0]?.[1] ?? '') as { alerts: Record<string, unknown>[] } & Record<string, unknown>;

test('what is not version 4, or of a shape of its own (payload: since 0.32), is refused with its place', () => {
  const refusals: readonly (readonly [object, RegExp])[] = [
    [{ ...valid, version: '3' }, /^version: /],
    [{ ...valid, alerts: undefined }, /^alerts: /],
    [{ text: 'MaxwellDown fires' }, /^version: /],
    [{ ...valid, alerts: [{ ...valid.alerts[0], startsAt: '2026' }] }, /^alerts\[0\]\.startsAt: a time such as/],
    [{ ...valid, alerts: [{ ...valid.alerts[0], startsAt: 5 }] }, /^alerts\[0\]\.startsAt: /],
    [{ ...valid, alerts: [{ ...valid.alerts[0], labels: ['a'] }] }, /^alerts\[0\]\.labels: an object of strings/],
    [{ ...valid, truncatedAlerts: -1 }, /^truncatedAlerts: /],
    [{ ...valid, alerts: [{ ...valid.alerts[0], status: 'suppressed' }] }, /^alerts\[0\]\.status: /],
  ];
  for (const [body, why] of refusals) {
    const parsed = parseBody(Buffer.from(JSON.stringify(body)));
    assert.ok(!parsed.ok && parsed.status === 400);
    assert.match(parsed.why, why);
  }
  const many = parseBody(Buffer.from(JSON.stringify({ ...valid, alerts: Array(maxAlerts + 1).fill(valid.alerts[0]) })));
  assert.ok(!many.ok && many.status === 413, 'too many alerts');
});

test('an alert with too many or too long labels is left out alone; annotations are cut', () => {
  const withLabels = (labels: object): object => ({ ...valid.alerts[0], labels });
  const many = Object.fromEntries(Array.from({ length: 101 }, (_, i) => [`l${i}`, 'x']));
  const long = '😀'.repeat(5000);
  const { alerts, unfit } = taken(
    JSON.stringify({
      ...valid,
      alerts: [
        withLabels(many),
        withLabels({ a: 'x'.repeat(8193) }),
        withLabels({ ['n'.repeat(257)]: 'x' }),
        { ...withLabels({ alertname: 'Fits', long: 'x'.repeat(8192) }), annotations: { ...many, long } },
        { ...withLabels({ alertname: 'Long' }), annotations: { long: `x${long}` } },
      ],
    }),
  );
  assert.deepEqual([unfit, alerts.map((a) => a.labels['alertname'])], [3, ['Fits', 'Long']]);
  assert.equal(Object.keys(alerts[0]?.annotations ?? {}).length, 50);
  const cut = alerts[1]?.annotations['long'] ?? '';
  assert.ok(cut.length <= 4097 && cut.endsWith('😀…'), cut.slice(-4));
});

/** A body with something wrong somewhere, in its structure or in its bytes. */
function mutated(random: Random): Buffer {
  const pick = <T>(list: readonly T[]): T => list[Math.floor(random() * list.length)] as T;
  const odd: readonly unknown[] = [
    ...[null, true, -1, 1e308, '', 'x'.repeat(10_000), [], {}, [[[[]]]], '\u0000', '\ud800', '0001-01-01T00:00:00Z'],
    ...['$(reboot)', "'; DROP TABLE run; --", '../../etc/passwd', '9999-12-31T23:59:59.999999999Z', 'constructor'],
  ];
  const document = structuredClone(valid) as Record<string, unknown>;
  const alerts = document['alerts'] as Record<string, unknown>[];
  const size = Math.floor(random() * 4);
  for (let i = 0; i < size; i++) alerts.push(structuredClone(pick(alerts)));
  for (let i = Math.floor(random() * 4); i > 0; i--) {
    const owner = pick<unknown>([document, ...alerts, ...alerts.map((a) => a['labels'])]);
    if (typeof owner !== 'object' || owner === null) continue;
    const key = pick([...Object.keys(owner), '__proto__', 'toString', 'x'.repeat(300), '"']);
    Object.defineProperty(owner, key, { value: pick(odd), enumerable: true, configurable: true, writable: true });
  }
  const bytes = Buffer.from(JSON.stringify(document));
  if (random() < 0.5) return bytes;
  for (let i = Math.floor(random() * 5); i >= 0; i--) bytes[Math.floor(random() * bytes.length)] = random() * 256;
  if (random() < 0.2) return bytes.subarray(0, Math.floor(random() * bytes.length));
  if (random() < 0.05) return Buffer.concat(Array<Buffer>(20).fill(bytes));
  return bytes;
}

/** Megabytes in use after all garbage is gone. */
function heapMb(): number {
  setFlagsFromString('--expose-gc');
  (runInNewContext('gc') as () => void)();
  return process.memoryUsage().heapUsed / 1e6;
}

test('10,000 random and mutated bodies: taken or refused, never thrown over, and the memory is flat', () => {
  const random = generator(20_260_131);
  const counts = { taken: 0, refused: 0 };
  let warm = 0;
  for (let i = 0; i < 10_000; i++) {
    if (i === 2000) warm = heapMb();
    const body = random() < 0.1 ? Buffer.from(Array.from({ length: 200 }, () => random() * 256)) : mutated(random);
    assert.ok(body.length < maxBodyBytes);
    const parsed = parseBody(body);
    counts[parsed.ok ? 'taken' : 'refused'] += 1;
    if (!parsed.ok) {
      assert.ok(parsed.why.length > 0 && parsed.why.length < 1000, parsed.why);
      continue;
    }
    for (const alert of parsed.alerts) {
      assert.match(identOf('main', alert.labels), /^[0-9a-f]{64}$/);
      assert.equal(typeof isOwn(alert.labels), 'boolean');
      assert.ok(Number.isSafeInteger(alert.startsWallMs));
      assert.ok(alert.endsWallMs === undefined || Number.isSafeInteger(alert.endsWallMs));
      assert.ok(['open', 'ignore'].includes(transitionOf(alert, undefined, undefined, 0, 0).is));
    }
  }
  assert.ok(counts.taken > 1000 && counts.refused > 1000, JSON.stringify(counts));
  const grown = heapMb() - warm;
  assert.ok(grown < 8, `the heap grew by ${grown.toFixed(1)} MB over 8,000 bodies`);
  assert.equal(({} as Record<string, unknown>)['x'], undefined, 'nothing was put on all objects');
});
