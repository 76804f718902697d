// Loaded into a program beside its own code (`node --expose-gc --import heap-probe.ts …`, with an IPC channel): says, whenever
// it is asked, how much memory is held after a full collection.

export interface HeapSample {
  readonly heapBytes: number;
  /** Of Buffers. */
  readonly externalBytes: number;
}

process.on('message', () => {
  const collect = globalThis.gc;
  if (collect === undefined) throw new Error('this needs --expose-gc');
  collect();
  collect(); // what the finalizers of the first one have let go
  const { heapUsed, external } = process.memoryUsage();
  process.send?.({ heapBytes: heapUsed, externalBytes: external } satisfies HeapSample);
});
// The program ends as it would without.
process.channel?.unref();
