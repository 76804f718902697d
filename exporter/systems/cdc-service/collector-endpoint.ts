import { emitState } from '../../families.ts';
import { endpointStates, type EndpointState } from './facts-endpoint.ts';

/** The label is not `endpoint`: the Prometheus Operator sets one of that name. */
export function emitEndpoint(
  emit: (value: number, labels: { readonly part: string; readonly state: string }) => void,
  part: string,
  state: EndpointState,
): void {
  emitState(
    (value, of) => {
      emit(value, { part, state: of });
    },
    endpointStates,
    state,
  );
}
