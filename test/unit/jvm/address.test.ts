import assert from 'node:assert/strict';
import { test } from 'node:test';
import { jvmAddress } from '../../../exporter/systems/jvm/address.ts';

test('a JVM is named by pid file, by main class or by the HTTP server of Maxwell', () => {
  assert.deepEqual(jvmAddress.parse({ hsperfdata: { pid_file: '/run/x.pid' } }), {
    hsperfdata: { pidFile: '/run/x.pid', mainClass: undefined, dir: '/tmp', user: undefined },
  });
  assert.deepEqual(jvmAddress.parse({ hsperfdata: { main_class: 'a.B', dir: '/data', user: 'kafka' } }), {
    hsperfdata: { pidFile: undefined, mainClass: 'a.B', dir: '/data', user: 'kafka' },
  });
  assert.deepEqual(jvmAddress.parse({ maxwell_http: { url: 'http://127.0.0.1:8080/maxwell/' } }), {
    maxwellHttp: { url: 'http://127.0.0.1:8080/maxwell', prefix: undefined },
  });
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
    { maxwell_http: { url: 'http://x' }, hsperfdata: { main_class: 'a' } },
  ]) {
    assert.equal(jvmAddress.safeParse(wrong).success, false, JSON.stringify(wrong));
  }
});
