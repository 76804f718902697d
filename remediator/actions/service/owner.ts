// Who else starts the service: a restart policy of systemd or of a container engine, an orchestrator. Pure.
import type { Known } from '../../../exporter/runtime/known.ts';
import { allow, deny, unsure, type Verdict } from '../../guard.ts';
import type { ServiceState } from '../../supervisors/supervisor.ts';

export function serviceOwner(state: Known<ServiceState>): Verdict {
  if (!state.known) return unsure('supervisor_unknown', state.why);
  const { owner } = state.value;
  if (owner === undefined) return allow('none', 'its supervisor starts nothing by itself');
  const { because } = owner;
  const inputs = { is: owner.is, restarts: owner.restarts };
  switch (owner.is) {
    case 'none':
      return allow('none', because, inputs);
    case 'watching':
      return allow('watching', `${because}: after a stop by request it is not started by that`, inputs);
    case 'gave_up':
      return allow('gave_up', because, inputs);
    case 'busy':
      return unsure('owner_busy', because, inputs);
    case 'left_down':
      return deny('left_down', because, inputs);
    case 'foreign':
      return deny('foreign_owner', because, inputs);
  }
}
