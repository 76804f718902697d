interface PipelineRoles {
  readonly source: string;
  readonly cdc?: string | undefined;
  readonly bus?: { readonly target: string } | undefined;
  readonly consumers: readonly unknown[];
  readonly cache?: { readonly primary: string } | undefined;
}

/**
 * Where changes may wait unseen, because the pipeline names nothing that moves them on: its stages alone tell too little
 * of the whole then. Undefined when there is no such place.
 */
export function gapIn({ source, cdc, bus, consumers, cache }: PipelineRoles): string | undefined {
  const next = bus?.target ?? cache?.primary;
  if (cdc === undefined && next !== undefined) {
    return `without \`cdc\` nothing tells what waits between ${source} and ${next}`;
  }
  if (bus === undefined || cache === undefined || consumers.length > 0) return undefined;
  return `without \`consumers\` nothing tells what waits between ${bus.target} and ${cache.primary}`;
}
