// What stored notifications do to episodes, within the transaction of the caller.
import { randomUUIDv7 } from 'node:crypto';
import { alertStateAfterFiring, identOf, transitionOf, type ClosedEpisode } from '../episodes.ts';
import type { Episode, IncomingAlert } from '../model.ts';
import { episodeOf, int, text } from './rows.ts';
import type { Processed, Processing, Tx } from './db.ts';
import { StoreError, type EpisodeChange } from './store.ts';

/** Each episode is read once and written once, whatever number of alerts is about it: a statement may be a way to a server. */
export async function processAll(db: Tx, { webhooks, relapseMs, nowMs }: Processing): Promise<Processed> {
  const ids = webhooks.map((w) => w.id);
  const rows = await db.all(
    `SELECT id, source, received_ms FROM webhook WHERE id IN (${marksOf(ids)}) AND processed_ms IS NULL
     ORDER BY id${db.forUpdate}`,
    ...ids,
  );
  const pending = new Map(rows.map((row) => [int(row, 'id'), row]));
  const deliveries = webhooks.map(({ id, alerts, truncated }): Delivery => {
    const hook = pending.get(id);
    pending.delete(id); // named twice it is processed once
    if (hook === undefined) return { id, source: '', alerts: [], truncated, receivedMs: nowMs, nowMs };
    const source = text(hook, 'source');
    return { id, source, alerts: identified(source, alerts), truncated, receivedMs: int(hook, 'received_ms'), nowMs };
  });
  const state: State = {
    open: await openOf(db, new Set(deliveries.flatMap((d) => d.alerts.map((a) => a.ident)))),
    links: new Map(),
  };
  const all: (readonly EpisodeChange[])[] = [];
  for (const delivery of deliveries) {
    const changes: EpisodeChange[] = [];
    for (const alert of delivery.alerts) {
      const change = await applyOne(db, relapseMs, state, delivery, alert);
      if (change !== undefined) changes.push(change);
    }
    all.push(changes);
  }
  await writeEpisodes(db, [...state.open.values()]);
  await writeLinks(db, state.links);
  const done = new Set(rows.map((row) => int(row, 'id')));
  for (const outcome of ['ok', 'poison'] as const) {
    const of = webhooks.filter((w) => done.has(w.id) && (w.alerts === undefined) === (outcome === 'poison'));
    if (of.length === 0) continue;
    await db.run(
      `UPDATE webhook SET processed_ms = ?, outcome = ? WHERE id IN (${marksOf(of)})`,
      ...[nowMs, outcome, ...of.map((w) => w.id)],
    );
  }
  return all;
}

function marksOf(values: readonly unknown[]): string {
  return values.map(() => '?').join(', ');
}

interface Delivery {
  readonly id: number;
  readonly source: string;
  readonly alerts: readonly Identified[];
  readonly truncated: boolean;
  readonly receivedMs: number;
  readonly nowMs: number;
}

interface Identified extends IncomingAlert {
  readonly ident: string;
}

/** Two alerts that differ in a replica label only are one episode: if one of them fires, it fires. */
function identified(source: string, alerts: readonly IncomingAlert[] | undefined): readonly Identified[] {
  return (alerts ?? [])
    .map((alert) => ({ ...alert, ident: identOf(source, alert.labels) }))
    .sort((a, b) => Number(a.status === 'firing') - Number(b.status === 'firing'));
}

/** What the transaction has come to, written at its end. */
interface State {
  /** By identity. */
  readonly open: Map<string, Held>;
  /** By delivery and episode: a delivery that was not processed has none from before. */
  readonly links: Map<string, Link>;
}

interface Held {
  /** As it is in the store; undefined: it is new. */
  readonly stored: Episode | undefined;
  readonly now: Episode;
}

interface Link {
  readonly episodeId: string;
  readonly webhookId: number;
  readonly alert: IncomingAlert;
}

async function applyOne(
  db: Tx,
  relapseMs: number,
  { open, links }: State,
  delivery: Delivery,
  alert: Identified,
): Promise<EpisodeChange | undefined> {
  const { ident } = alert;
  const { id: webhookId, receivedMs, truncated, nowMs } = delivery;
  const held = open.get(ident);
  const closed = held === undefined ? await closedOf(db, ident) : undefined;
  const transition = transitionOf(alert, held?.now, closed, nowMs, relapseMs);
  const changed = (episodeId: string, change: EpisodeChange['change']): EpisodeChange => {
    // A body may name the same episode twice; what is ordered last says more.
    links.set(`${webhookId}/${episodeId}`, { episodeId, webhookId, alert });
    return { episodeId, change };
  };
  switch (transition.is) {
    case 'ignore':
      return undefined;
    case 'late':
      return changed(transition.id, 'late_copy');
    case 'open': {
      const { source } = delivery;
      const now = newEpisode({ ...alert, source, truncated, receivedMs, nowMs, relapseOf: transition.relapseOf });
      open.set(ident, { stored: undefined, now });
      const { relapseOf } = now;
      return { ...changed(now.id, 'opened'), ...(relapseOf === undefined ? {} : { relapseOf }) };
    }
    case 'refresh':
    case 'hint': {
      if (held === undefined) throw new StoreError('broken', 'an open episode vanished within a transaction');
      const isHint = transition.is === 'hint';
      const now = isHint ? hinted(held.now, receivedMs) : refreshed(held.now, alert, truncated, receivedMs);
      open.set(ident, { ...held, now });
      if (isHint) return changed(now.id, 'resolved_hint');
      return changed(now.id, now.version === held.now.version ? 'refreshed' : 'altered');
    }
  }
}

/** Locked: what is written next rests on what is read here. */
export async function openOf(db: Tx, idents: ReadonlySet<string>): Promise<Map<string, Held>> {
  if (idents.size === 0) return new Map();
  const keys = padded([...idents]);
  const rows = await db.all(
    `SELECT * FROM episode WHERE open_key IN (${marksOf(keys)}) ORDER BY open_key${db.forUpdate}`,
    ...keys,
  );
  return new Map(rows.map(episodeOf).map((episode) => [episode.ident, { stored: episode, now: episode }]));
}

/** To a power of two, with copies of the last: each length is a statement of its own, which is kept prepared. */
function padded(keys: readonly string[]): readonly string[] {
  const length = 2 ** Math.ceil(Math.log2(keys.length));
  return [...keys, ...Array.from({ length: length - keys.length }, () => keys.at(-1) ?? '')];
}

async function closedOf(db: Tx, ident: string): Promise<ClosedEpisode | undefined> {
  const row = await db.get(
    `SELECT id, starts_wall_ms, closed_ms, closed_wall_ms FROM episode
     WHERE ident = ? AND closed_ms IS NOT NULL ORDER BY closed_ms DESC, id DESC LIMIT 1`,
    ident,
  );
  if (row === undefined) return undefined;
  return {
    id: text(row, 'id'),
    startsWallMs: int(row, 'starts_wall_ms'),
    closedMs: int(row, 'closed_ms'),
    closedWallMs: int(row, 'closed_wall_ms'),
  };
}

interface NewEpisode extends Pick<
  Episode,
  'source' | 'ident' | 'labels' | 'annotations' | 'startsWallMs' | 'truncated' | 'relapseOf'
> {
  readonly receivedMs: number;
  readonly nowMs: number;
}

export function newEpisode(e: NewEpisode): Episode {
  const { source, ident, labels, annotations, startsWallMs, truncated, relapseOf, receivedMs, nowMs } = e;
  return {
    ...{ id: randomUUIDv7(), source, ident, labels, annotations, version: 1, startsWallMs, truncated, relapseOf },
    ...{ firstSeenMs: receivedMs, lastFiringMs: receivedMs, resolvedHintMs: undefined },
    ...{ alertState: 'active', alertDetail: 'webhook', alertSeenMs: receivedMs },
    ...{ state: 'open', attempts: 0, nextEvalMs: nowMs, closedMs: undefined, outcome: undefined },
  };
}

function refreshed(open: Episode, alert: IncomingAlert, truncated: boolean, receivedMs: number): Episode {
  const now = alertStateAfterFiring(open, receivedMs);
  const cleared = open.resolvedHintMs !== undefined;
  const changed = now.alertState !== open.alertState || cleared || truncated !== open.truncated;
  return {
    ...open,
    lastFiringMs: Math.max(open.lastFiringMs, receivedMs),
    startsWallMs: Math.min(open.startsWallMs, alert.startsWallMs),
    resolvedHintMs: undefined,
    truncated,
    annotations: alert.annotations,
    alertState: now.alertState,
    alertDetail: now.alertDetail,
    alertSeenMs: now.alertSeenMs,
    version: open.version + Number(changed),
    nextEvalMs: changed ? Math.min(open.nextEvalMs ?? receivedMs, receivedMs) : open.nextEvalMs,
  };
}

function hinted(open: Episode, receivedMs: number): Episode {
  // The newest counts: a poll between two peers' notifications may have seen it active at the one that had not resolved.
  const newestMs = Math.max(open.resolvedHintMs ?? receivedMs, receivedMs);
  return newestMs === open.resolvedHintMs ? open : { ...open, resolvedHintMs: newestMs, version: open.version + 1 };
}

export async function insertEpisodes(db: Tx, episodes: readonly Episode[]): Promise<void> {
  if (episodes.length === 0) return;
  await db.runAll(
    `INSERT INTO episode(id, source, ident, open_key, alertname, version, starts_wall_ms, first_seen_ms, last_firing_ms,
       resolved_hint_ms, truncated, am_state, am_detail, am_seen_ms, state, labels, annotations, attempts, relapse_of,
       next_eval_ms)
     VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 'open', ?, ?, 0, ?, ?)`,
    episodes.map((e) => [
      ...[e.id, e.source, e.ident, e.ident, e.labels['alertname'] ?? '', e.version, e.startsWallMs, e.firstSeenMs],
      ...[e.lastFiringMs, e.resolvedHintMs ?? null, Number(e.truncated), e.alertState, e.alertDetail],
      ...[e.alertSeenMs ?? null, JSON.stringify(e.labels), JSON.stringify(e.annotations), e.relapseOf ?? null],
      ...[e.nextEvalMs ?? null],
    ]),
  );
}

/** The rows are locked since they were read: what follows from them was computed here, in no dialect's functions. */
async function writeEpisodes(db: Tx, all: readonly Held[]): Promise<void> {
  await insertEpisodes(
    db,
    all.flatMap(({ stored, now }) => (stored === undefined ? [now] : [])),
  );
  const changed = all.flatMap(({ stored, now }) => (stored === undefined || stored === now ? [] : [now]));
  if (changed.length === 0) return;
  await db.runAll(
    `UPDATE episode SET last_firing_ms = ?, starts_wall_ms = ?, resolved_hint_ms = ?, truncated = ?, annotations = ?,
       am_state = ?, am_detail = ?, am_seen_ms = ?, version = ?, next_eval_ms = ? WHERE id = ?`,
    changed.map((e) => [
      ...[e.lastFiringMs, e.startsWallMs, e.resolvedHintMs ?? null, Number(e.truncated), JSON.stringify(e.annotations)],
      ...[e.alertState, e.alertDetail, e.alertSeenMs ?? null, e.version, e.nextEvalMs ?? null, e.id],
    ]),
  );
}

async function writeLinks(db: Tx, links: ReadonlyMap<string, Link>): Promise<void> {
  if (links.size === 0) return;
  await db.runAll(
    'INSERT INTO episode_webhook(status, starts_wall_ms, ends_wall_ms, episode_id, webhook_id) VALUES(?, ?, ?, ?, ?)',
    [...links.values()].map(({ episodeId, webhookId, alert }) => [
      ...[alert.status, alert.startsWallMs, alert.endsWallMs ?? null, episodeId, webhookId],
    ]),
  );
}
