// Two Alertmanagers deliver the same incidents: re-ordered, twice, drifted, late, each with its own replica label, while
// both are polled. Whatever the order: at most one open episode of an identity, none without an incident, none lost.
import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { createLog } from '../../../exporter/runtime/log.ts';
import type { ListedAlert } from '../../../remediator/alertmanager.ts';
import { identOf } from '../../../remediator/episodes.ts';
import { createMetrics } from '../../../remediator/metrics.ts';
import type { IncomingAlert } from '../../../remediator/model.ts';
import { createPoller } from '../../../remediator/poller.ts';
import { openSqlite } from '../../../remediator/store/sqlite.ts';
import { generator, type Random } from '../../support/random.ts';
import { MovableClock } from './run-harness.ts';
import { deliver } from './store-fixtures.ts';

const second = 1000;
const minute = 60 * second;
const names = ['MaxwellDown', 'RedisReplicaLinkDown', 'MySqlReplicaStopped'];

/** Seconds since the beginning. */
interface Incident {
  readonly name: string;
  readonly from: number;
  readonly to: number;
}

interface Delivery {
  readonly at: number;
  readonly alerts: readonly (Pick<IncomingAlert, 'status'> & {
    incident: Incident;
    replica: string;
    driftMs: number;
  })[];
}

function incidentsOf(random: Random): readonly Incident[] {
  return names.flatMap((name) => {
    const found: Incident[] = [];
    let from = Math.floor(random() * 120);
    for (let i = 0; i < 3; i++) {
      const isFlap = random() < 0.4;
      const to = from + (isFlap ? 15 + Math.floor(random() * 20) : 250 + Math.floor(random() * 500));
      found.push({ name, from, to });
      // After a flap the next one begins so soon that its start cannot be told from drift, but late enough for a poll.
      from = to + (isFlap ? 45 + Math.floor(random() * 40) : 20 + Math.floor(random() * 900));
    }
    return found;
  });
}

/** What one peer sends: when it begins, again now and then, and of its end; each copy on its way for a time of its own. */
function deliveriesOf(incidents: readonly Incident[], replica: string, random: Random): readonly Delivery[] {
  return incidents.flatMap((incident) => {
    const one = (status: IncomingAlert['status'], at: number): Delivery[] => {
      const driftMs = Math.floor((random() - 0.5) * 4000);
      const copy = { status, incident, replica, driftMs };
      // Groups tell of other incidents too, as they are.
      const others = incidents
        .filter((o) => o.name !== incident.name && o.from <= at && random() < 0.4)
        .map((o) => ({
          status: at < o.to ? ('firing' as const) : ('resolved' as const),
          incident: o,
          replica,
          driftMs,
        }));
      const copies = random() < 0.25 ? 2 : 1; // a retry after an answer that was lost
      return Array.from({ length: copies }, () => ({
        at: at + Math.floor(random() * (random() < 0.1 ? 300 : 20)),
        alerts: [...others, copy],
      }));
    };
    const repeats = Array.from({ length: 3 }, () => incident.from + random() * (incident.to - incident.from));
    return [
      // one peer may be cut off at the beginning
      ...(random() < 0.8 ? one('firing', incident.from) : []),
      ...repeats.flatMap((at) => one('firing', Math.floor(at))),
      ...(random() < 0.9 ? one('resolved', incident.to) : []),
    ];
  });
}

async function simulate(seed: number): Promise<void> {
  const random = generator(seed);
  const dir = await mkdtemp(join(tmpdir(), 'pipemedic-prop-'));
  const clock = new MovableClock();
  const wallStart = clock.wallMs();
  const incidents = incidentsOf(random);
  const queue = ['a', 'b']
    .flatMap((replica) => deliveriesOf(incidents, replica, random))
    .toSorted((x, y) => x.at - y.at);
  const end = Math.max(...incidents.map((i) => i.to), ...queue.map((d) => d.at));
  const peerLag = [0, Math.floor(random() * 30)];
  const activeAt = (name: string, at: number): Incident | undefined =>
    incidents.find((i) => i.name === name && i.from <= at && at < i.to);
  const labelsOf = (name: string): Record<string, string> => ({ alertname: name, target: name.toLowerCase() });
  let now = 0;
  try {
    await using store = openSqlite({ file: join(dir, 'store.db'), wallMs: clock.wallMs });
    const poller = createPoller({
      ...{ store, clock, metrics: createMetrics('test'), log: createLog('test', 'silent') },
      sources: [
        {
          name: 'main',
          peers: peerLag.map((lag, i) => ({
            url: `http://peer${i}`,
            alerts: () =>
              Promise.resolve({
                dateMs: clock.wallMs(),
                alerts: names.flatMap((name): ListedAlert[] => {
                  const incident = activeAt(name, now - lag);
                  if (incident === undefined) return [];
                  return [
                    {
                      labels: { ...labelsOf(name), replica: String(i) },
                      startsAt: wallStart + incident.from * second,
                      status: { state: 'active', silencedBy: [], inhibitedBy: [] },
                    },
                  ];
                }),
              }),
          })),
        },
      ],
    });
    const firstSeen = new Map<Incident, number>();
    const step = 5;
    for (; now < end + 25 * 60; now += step) {
      clock.aheadMs += step * second;
      while ((queue[0]?.at ?? Infinity) <= now) {
        const delivery = queue.shift();
        if (delivery === undefined) break;
        const alerts = delivery.alerts.map(({ status, incident, replica, driftMs }): IncomingAlert => {
          if (status === 'firing' && activeAt(incident.name, now) === incident && !firstSeen.has(incident)) {
            firstSeen.set(incident, now);
          }
          return {
            ...{ status, labels: { ...labelsOf(incident.name), replica }, annotations: {}, fingerprint: '' },
            startsWallMs: wallStart + incident.from * second + driftMs,
            endsWallMs: status === 'firing' ? undefined : wallStart + incident.to * second + driftMs,
          };
        });
        poller.poke('main', await deliver(store, alerts, { nowMs: clock.nowMs() }));
      }
      const open = await store.openEpisodes();
      const told = `seed ${seed}, second ${now}`;
      assert.equal(new Set(open.map((e) => e.ident)).size, open.length, `${told}: one open episode of each identity`);
      for (const name of names) {
        const incident = activeAt(name, now);
        const seen = incident === undefined ? undefined : firstSeen.get(incident);
        // a start shortly after the former one is taken for a late copy, until a poll a while later says otherwise
        if (seen === undefined || now - seen < 240) continue;
        const ident = identOf('main', labelsOf(name));
        assert.ok(
          open.some((e) => e.ident === ident),
          `${told}: the incident of ${name} was lost`,
        );
      }
      if (now % 15 === 0) {
        for (const e of open) {
          const isHealthy = activeAt(e.labels['alertname'] ?? '', now) === undefined;
          await store.recordDecision(
            {
              ...{ episodeId: e.id, episodeVersion: e.version, policy: 'p', policyHash: 'h', action: 'a' },
              ...{ target: 't', params: {}, verdict: 'hold', reasonKey: isHealthy ? 'fixed' : 'bad', because: '' },
              ...{ evidenceHash: undefined, advice: [] },
              trace: [
                {
                  ...{ guard: 'already_fixed', because: 'x', inputs: {}, code: 'x' },
                  result: isHealthy ? 'deny' : 'allow',
                },
              ],
            },
            clock.nowMs(),
          );
        }
      }
      await poller.tick(AbortSignal.timeout(30_000));
    }
    const all = await store.findEpisodes({ limit: 1000 });
    for (const name of names) {
      const mine = all.filter((e) => e.labels['alertname'] === name);
      const most = incidents.filter((i) => i.name === name).length;
      assert.ok(mine.length >= 1 && mine.length <= most, `seed ${seed}: ${mine.length} episodes of ${most} incidents`);
      assert.ok(
        mine.every((e) => e.state === 'closed'),
        `seed ${seed}: ${name} is over`,
      );
    }
  } finally {
    await rm(dir, { recursive: true, force: true });
  }
}

// PIPEMEDIC_SEEDS=200 for a long run; a seed that fails is named and gives the same again.
const seeds = Number(process.env['PIPEMEDIC_SEEDS'] ?? 8);
test(`${seeds} random interleavings of two peers`, { timeout: minute * 10 }, async () => {
  for (let seed = 1; seed <= seeds; seed++) await simulate(seed);
});
