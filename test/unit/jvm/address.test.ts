import assert from 'node:assert/strict';
import { test } from 'node:test';
import { jvmAddress } from '../../../exporter/systems/jvm/address.ts';

const none = { hsperfdata: undefined, maxwellHttp: undefined, prometheus: undefined, jolokia: undefined };

test('a JVM is named by pid file or main class, by a page, by Jolokia or by the HTTP server of Maxwell', () => {
  assert.deepEqual(jvmAddress.parse({ hsperfdata: { pid_file: '/run/x.pid' } }), {
    ...none,
    hsperfdata: { pidFile: '/run/x.pid', mainClass: undefined, dir: '/tmp', user: undefined },
  });
  assert.deepEqual(jvmAddress.parse({ hsperfdata: { main_class: 'a.B', dir: '/data', user: 'kafka' } }), {
    ...none,
    hsperfdata: { pidFile: undefined, mainClass: 'a.B', dir: '/data', user: 'kafka' },
  });
  assert.deepEqual(jvmAddress.parse({ maxwell_http: { url: 'http://127.0.0.1:8080/maxwell/' } }), {
    ...none,
    maxwellHttp: { url: 'http://127.0.0.1:8080/maxwell', prefix: undefined },
  });
  assert.deepEqual(jvmAddress.parse({ prometheus: { url: 'http://x:9404/metrics?format=prometheus' } }), {
    ...none,
    prometheus: { url: 'http://x:9404/metrics?format=prometheus', prefix: undefined, timeoutMs: 2000 },
  });
  for (const url of ['https://x:8778/jolokia', 'https://x:8778/jolokia/']) {
    assert.deepEqual(jvmAddress.parse({ jolokia: { url, timeout: '7s' } }), {
      ...none,
      jolokia: { url: 'https://x:8778/jolokia/', timeoutMs: 7000 },
    });
  }
});

test('one JVM may be looked at in several ways', () => {
  const both = jvmAddress.parse({ jolokia: { url: 'http://x/j' }, hsperfdata: { main_class: 'a' } });
  assert.ok(both.jolokia !== undefined && both.hsperfdata !== undefined);
});

test('what names no JVM, or carries a secret, is refused', () => {
  for (const wrong of [
    {},
    { hsperfdata: {} },
    { hsperfdata: { pid_file: '/a', main_class: 'b' } },
    { hsperfdata: { pid_file: 'relative' } },
    { hsperfdata: { main_class: 'a b' } },
    { hsperfdata: { main_class: 'a', user: '../root' } },
    { maxwell_http: { url: 'ftp://x' } },
    { maxwell_http: { url: 'http://user:secret@x' } },
    { maxwell_http: { url: 'http://x/?a=b' } },
    { prometheus: { url: 'http://user:secret@x/metrics' } },
    { prometheus: { url: 'file:///etc/passwd' } },
    { prometheus: {} },
    { prometheus: { url: 'http://x', timeout: '2m' } },
    { jolokia: { url: 'http://x/jolokia?maxDepth=0' } },
    { jolokia: { url: 'http://x/jolokia', user: 'u' } },
  ]) {
    assert.equal(jvmAddress.safeParse(wrong).success, false, JSON.stringify(wrong));
  }
});
