import { emitState } from '../../families.ts';
import { endpointStates, type EndpointState } from './facts-endpoint.ts';

export function emitEndpoint(
  emit: (value: number, labels: { readonly endpoint: string; readonly state: string }) => void,
  endpoint: string,
  state: EndpointState,
): void {
  emitState(
    (value, of) => {
      emit(value, { endpoint, state: of });
    },
    endpointStates,
    state,
  );
}
