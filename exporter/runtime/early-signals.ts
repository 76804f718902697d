// Signals that come while a program is still being loaded: without a handler the first one would end it. Imports nothing,
// because it is loaded before all else.

type Handle = (signal: NodeJS.Signals) => void;

/** The process, as far as signals go. */
export interface SignalSource {
  readonly on: (signal: NodeJS.Signals, handle: Handle) => unknown;
  readonly removeListener: (signal: NodeJS.Signals, handle: Handle) => unknown;
}

export interface EarlySignals extends SignalSource {
  /** Signals do again what they do to any program; one that has come does it now. */
  readonly release: () => void;
}

/** `on` hands a signal over: what has come until then, at once, and from then on as it comes. */
export function holdSignals(
  names: readonly NodeJS.Signals[],
  source: SignalSource = process,
  raise: Handle = (signal) => process.kill(process.pid, signal),
): EarlySignals {
  let came: readonly NodeJS.Signals[] = [];
  const hold: Handle = (signal) => {
    came = [...came, signal];
  };
  for (const name of names) source.on(name, hold);
  return {
    on: (name, handle) => {
      source.on(name, handle);
      source.removeListener(name, hold);
      const due = came.filter((signal) => signal === name);
      came = came.filter((signal) => signal !== name);
      for (const signal of due) handle(signal);
    },
    removeListener: (name, handle) => source.removeListener(name, handle),
    release: () => {
      for (const name of names) source.removeListener(name, hold);
      for (const signal of came) raise(signal);
      came = [];
    },
  };
}
