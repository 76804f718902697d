import assert from 'node:assert/strict';
import { createRequire } from 'node:module';
import { test } from 'node:test';
import { loadKafkaLibrary } from '../../../exporter/systems/kafka/client-library.ts';

const ajvModule: unknown = createRequire(import.meta.resolve('@platformatic/kafka'))('ajv/dist/2020.js');
const { Ajv2020 } = ajvModule as { readonly Ajv2020: { readonly prototype: { readonly compile: unknown } } };

// Nothing here may import the library before it is loaded in this way.
test('the Kafka library refuses wrong options in its own words, though its checks are compiled only then', async () => {
  const before = Ajv2020.prototype.compile;
  await loadKafkaLibrary();
  assert.equal(Ajv2020.prototype.compile, before, 'ajv is as it was');
  const { Admin } = await import('@platformatic/kafka');
  const bootstrapBrokers = [{ host: 'localhost', port: 9092 }];
  const made = (options: object): unknown => new Admin({ clientId: 'pipemedic', bootstrapBrokers, strict: true, ...options });
  for (let i = 0; i < 2; i++) {
    assert.throws(() => made({ retries: -1, connectTimeout: 'soon' }), /connectTimeout must be number.*retries must be >= 0|retries must be >= 0.*connectTimeout must be number/s);
    assert.doesNotThrow(() => made({ retries: 0 }));
  }
}); // prettier-ignore
