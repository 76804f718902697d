// What the API of the service tells, endpoint by endpoint: one that fails hides no other.
import { z } from 'zod';
import { collectorOf, type CollectorCall } from '../../collector.ts';
import { emitState, type Emit } from '../../families.ts';
import type { CdcServiceClient } from './client.ts';
import { emitEndpoint } from './collector-endpoint.ts';
import { componentsOf, componentStates, ddlOf, statusOf, type DdlEntries } from './facts-api.ts';
import { endpoints, readEndpoint, type Endpoint, type EndpointState } from './facts-endpoint.ts';
import { readOffsets } from './facts-offsets.ts';
import { componentFamilies, ddlFamilies, offsetsFamilies, statusFamilies } from './families.ts';

export const statusCollector = collectorOf<CdcServiceClient>()({
  name: 'status',
  help: 'Rates and version from /status of the service.',
  config: z.strictObject({}),
  families: statusFamilies,
  state: () => undefined,
  async collect({ client, emit, call }) {
    const found = await readEndpoint(client.http, endpoints.status, call, ({ text }) =>
      statusOf(text, call.clock.wallMs()),
    );
    emitEndpoint(emit.endpointState, 'status', found.state);
    if (found.state !== 'ok') return;
    const { ingestRate, applyRate, errorRate, version } = found.value;
    if (ingestRate.known) emit.ingest(ingestRate.value);
    if (applyRate.known) emit.apply(applyRate.value);
    if (errorRate.known) emit.errors(errorRate.value);
    if (version.known) emit.info(1, { version: version.value });
  },
  unknown({ emit }) {
    emitEndpoint(emit.endpointState, 'status', 'failed');
  },
});

export const componentsCollector = collectorOf<CdcServiceClient>()({
  name: 'components',
  help: 'States of the parts of the service from /api/health/detailed.',
  config: z.strictObject({}),
  families: componentFamilies,
  state: () => undefined,
  async collect({ client, emit, call }) {
    // 503 comes with the parts too: one of them is down then.
    const found = await readEndpoint(client.http, endpoints.components, call, ({ text }) => componentsOf(text), [503]);
    emitEndpoint(emit.endpointState, 'components', found.state);
    if (found.state !== 'ok') return;
    for (const [component, current] of found.value) {
      emitState(
        (value, state) => {
          emit.component(value, { component, state });
        },
        componentStates,
        current,
      );
    }
  },
  unknown({ emit }) {
    emitEndpoint(emit.endpointState, 'components', 'failed');
  },
});

interface DdlState {
  /** What was had although the other one failed. */
  partial: { readonly alerts: DdlFound; readonly history: DdlFound } | undefined;
}
type DdlFound = Endpoint<DdlEntries> | { readonly state: 'failed'; readonly error: unknown };

export const ddlCollector = collectorOf<CdcServiceClient>()({
  name: 'ddl',
  help: 'Schema changes that block the service and those of its history; of statements only a digest.',
  config: z.strictObject({}),
  families: ddlFamilies,
  state: (): DdlState => ({ partial: undefined }),
  async collect({ client, emit, call, state }) {
    state.partial = undefined;
    const [alerts, history] = await Promise.all([
      readDdl(client, 'ddlAlerts', 'alerts', call),
      readDdl(client, 'ddlHistory', 'history', call),
    ]);
    for (const found of [alerts, history]) {
      if (found.state !== 'failed') continue;
      state.partial = { alerts, history };
      throw found.error;
    }
    emitDdl(emit, alerts, history);
  },
  unknown({ emit, state }) {
    const failed = { state: 'failed', error: undefined } as const;
    emitDdl(emit, state.partial?.alerts ?? failed, state.partial?.history ?? failed);
    state.partial = undefined;
  },
});

async function readDdl(
  client: CdcServiceClient,
  endpoint: 'ddlAlerts' | 'ddlHistory',
  key: 'alerts' | 'history',
  call: CollectorCall,
): Promise<DdlFound> {
  try {
    return await readEndpoint(client.http, endpoints[endpoint], call, ({ text }) => ddlOf(text, key));
  } catch (error) {
    return { state: 'failed', error };
  }
}

function emitDdl(emit: Emit<typeof ddlFamilies>, alerts: DdlFound, history: DdlFound): void {
  emitEndpoint(emit.endpointState, 'ddl_alerts', alerts.state);
  emitEndpoint(emit.endpointState, 'ddl_history', history.state);
  if (alerts.state === 'ok') {
    emit.alerts(alerts.value.count);
    for (const [digest, count] of alerts.value.byDigest) emit.alertStatements(count, { digest });
  }
  if (history.state === 'ok') {
    emit.history(history.value.count);
    for (const [digest, count] of history.value.byDigest) emit.historyStatements(count, { digest });
  }
}

export const offsetsCollector = collectorOf<CdcServiceClient>()({
  name: 'offsets',
  help: 'How long ago the service wrote its offsets, from its table.',
  config: z.strictObject({}),
  families: offsetsFamilies,
  state: () => undefined,
  async collect({ client, emit, call }) {
    const { offsets } = client.address;
    const state: EndpointState = offsets === undefined ? 'not_configured' : 'ok';
    if (offsets !== undefined) {
      const { rows, ageSeconds } = await readOffsets(await client.offsetsDb(call), offsets, call);
      emit.rows(rows);
      if (ageSeconds.known) emit.age(ageSeconds.value);
    }
    emitEndpoint(emit.endpointState, 'offsets', state);
  },
  unknown({ emit }) {
    emitEndpoint(emit.endpointState, 'offsets', 'failed');
  },
});
