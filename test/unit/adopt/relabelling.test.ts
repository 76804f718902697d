import assert from 'node:assert/strict';
import { test } from 'node:test';
import { relabelled, relabellings } from '../../../exporter/adopt/relabelling.ts';

const given = {
  __address__: 'db1.example:9104',
  __param_target: 'db1:3306',
  job: 'mysql',
  env: 'prod',
};

function after(rules: readonly object[], isOpen = false): Readonly<Record<string, string | undefined>> | undefined {
  const labels = relabelled(relabellings(rules), new Map(Object.entries(given)), isOpen);
  return labels === undefined ? undefined : Object.fromEntries(labels);
}

const instance = { target_label: 'instance' };
const address = { source_labels: ['__address__'] };

for (const [what, rule, changed] of [
  ['a copy', { ...address, ...instance }, { instance: 'db1.example:9104' }],
  ['a constant, whatever the source', { ...address, ...instance, replacement: 'db' }, { instance: 'db' }],
  ['a constant without a source', { ...instance, replacement: 'db' }, { instance: 'db' }],
  ['a part', { ...address, ...instance, regex: '([^.:]+)[.:].*' }, { instance: 'db1' }],
  ['two labels', { source_labels: ['env', 'job'], ...instance, separator: '/' }, { instance: 'prod/mysql' }],
  ['a pattern that does not fit the whole', { ...address, ...instance, regex: 'db1' }, {}],
  ['a constant for what fits', { ...address, ...instance, regex: 'db2.*', replacement: 'other' }, {}],
  [
    'braces, a name, two dollars',
    { ...address, ...instance, regex: '(?P<h>[^.]+).*', replacement: '${h}-$h-$$1-$2x' },
    { instance: 'db1-db1-db1-' },
  ],
  [
    'a target made of groups',
    { source_labels: ['env'], target_label: 'is_$1', replacement: 'yes' },
    { is_prod: 'yes' },
  ],
  ['an empty value takes the label away', { target_label: 'env', replacement: '' }, { env: undefined }],
  ['labelmap', { action: 'labelmap', regex: '__param_(.+)' }, { target: 'db1:3306' }],
  ['labeldrop', { action: 'LabelDrop', regex: 'env' }, { env: undefined }],
  ['uppercase', { source_labels: ['env'], action: 'uppercase', target_label: 'stage' }, { stage: 'PROD' }],
  [
    'a label that is not there is empty',
    { source_labels: ['__meta_x'], ...instance, regex: '(.*)', replacement: 'x$1' },
    { instance: 'x' },
  ],
  ['a number as a pattern', { source_labels: ['env'], regex: 7, ...instance }, {}],
  ['an action of later', { action: 'keepequal', source_labels: ['env'], target_label: 'job' }, {}],
] as const) {
  test(what, () => {
    const wanted = new Map<string, string | undefined>(Object.entries({ ...given, ...changed }));
    for (const [name, value] of [...wanted]) if (value === undefined) wanted.delete(name);
    assert.deepEqual(after([rule]), Object.fromEntries(wanted));
  });
}

test('keep and drop; what cannot be known stays', () => {
  assert.equal(after([{ source_labels: ['env'], action: 'keep', regex: 'test' }]), undefined);
  assert.equal(after([{ source_labels: ['env'], action: 'drop', regex: 'prod|test' }]), undefined);
  assert.ok(after([{ source_labels: ['env'], action: 'keep', regex: 'p.*' }]) !== undefined);
  assert.ok(after([{ source_labels: ['other'], action: 'keep', regex: 'x' }], true) !== undefined);
});

test('what is made of something that is not known is not known', () => {
  const rule = { source_labels: ['mode'], regex: '(.+)', ...instance };
  const constant = { source_labels: ['mode'], regex: '.*', ...instance, replacement: 'x' };
  assert.equal(after([constant], true)?.['instance'], 'x', 'a constant whatever it is');
  const open = after([rule], true);
  assert.ok(open !== undefined && 'instance' in open);
  assert.equal(open['instance'], undefined);
  assert.equal(
    after([{ source_labels: ['env'], action: 'hashmod', modulus: 2, target_label: 'shard' }])?.['shard'],
    undefined,
  );
  assert.equal(after([{ ...address, regex: '(', ...instance }])?.['instance'], undefined, 'no pattern at all');
});

test('a pattern that would keep a backtracking machine for years ends at once', () => {
  const rules = relabellings([{ source_labels: ['a'], regex: '(x+x+)+y', ...instance }]);
  assert.deepEqual(relabelled(rules, new Map([['a', 'x'.repeat(5000)]]), false)?.has('instance'), false);
});
