import { allow, defineGuard, deny, unsure } from '../guard.ts';

export const dependency = defineGuard({
  name: 'dependency',
  help: 'Everything that the target cannot work without is up, by facts read just now.',
  decide({ upstreams }) {
    const inputs = {
      upstreams: upstreams.map(({ target, up, why }) => ({ target, up: up.known ? up.value : null, why })),
    };
    const down = upstreams.filter(({ up }) => up.known && !up.value);
    if (down.length > 0) {
      return deny('upstream_down', `down: ${down.map((u) => `${u.target} (${u.why})`).join(', ')}`, inputs);
    }
    const unseen = upstreams.filter(({ up }) => !up.known);
    if (unseen.length > 0) {
      return unsure('upstream_unknown', `not known: ${unseen.map((u) => `${u.target} (${u.why})`).join(', ')}`, inputs);
    }
    return allow('upstreams_up', `${upstreams.length} upstream targets are up`, inputs);
  },
});
