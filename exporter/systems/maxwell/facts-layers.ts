// The four layers of Maxwell's health. Pure.
import { mapKnown, type Known } from '../../runtime/known.ts';
import type { HttpProbe } from './client-probe.ts';
import type { MaxwellHealth } from './facts-health.ts';

export const layers = ['process', 'port', 'function', 'data_flow'] as const;
export type Layer = (typeof layers)[number];
export const layerStates = ['healthy', 'failed', 'unknown'] as const;
export type LayerState = (typeof layerStates)[number];

/** A layer that cannot be seen is unknown; what the layers above it say is no evidence for it. */
export function layersOf(
  process: Known<'alive' | 'gone'>,
  probe: HttpProbe,
  health: Pick<MaxwellHealth, 'state'>,
): Readonly<Record<Layer, LayerState>> {
  const looked = (look: Known<LayerState>): LayerState => (look.known ? look.value : 'unknown');
  return {
    process: looked(mapKnown(process, (found) => (found === 'alive' ? 'healthy' : 'failed'))),
    port: looked(probe.port),
    function: looked(probe.function),
    data_flow: flowOf(health.state),
  };
}

function flowOf(state: MaxwellHealth['state']): LayerState {
  if (state === 'running') return 'healthy';
  return state === 'unknown' ? 'unknown' : 'failed';
}
