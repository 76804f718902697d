import { allow, defineGuard, deny } from '../guard.ts';

export const identity = defineGuard({
  name: 'identity',
  help: 'The alert names exactly one target of the inventory, of a kind that the action works on, in the right estate, and the object within it.',
  decide({ episode, candidates, require, kinds, object }) {
    for (const [label, wanted] of Object.entries(require)) {
      const found = episode.labels[label] ?? '';
      if (found !== wanted) {
        return deny('foreign', `the alert has ${label}="${found}", wanted is "${wanted}"`, { label, wanted, found });
      }
    }
    const names = candidates.map((c) => c.name);
    const [only] = candidates;
    if (only === undefined) {
      return deny('no_target', 'the alert has no label target that names a target of the inventory', {
        target: episode.labels['target'] ?? null,
      });
    }
    if (candidates.length > 1)
      return deny('ambiguous', `${candidates.length} targets fit: ${names.join(', ')}`, { names });
    if (only.by !== 'target') {
      return deny('by_instance_only', `only the label instance points at ${only.name}, the label target is wanted`, {
        names,
      });
    }
    if (!kinds.includes(only.kind)) {
      return deny(
        'wrong_kind',
        `${only.name} is of kind ${only.kind}, the action works on ${kinds.join(', ') || 'nothing'}`,
        {
          kind: only.kind,
          kinds,
        },
      );
    }
    switch (object.is) {
      case 'missing':
        return deny('object_missing', object.because);
      case 'invalid':
        return deny('object_invalid', object.because);
      case 'other':
        return deny('object_other', object.because);
      case 'clear':
    }
    return allow('one_target', only.name, { target: only.name, kind: only.kind });
  },
});
