/** The first TCP port of a program that serves. */
export function portOf({
  addresses,
}: {
  readonly addresses: readonly { readonly port: number | undefined }[];
}): number {
  const port = addresses.find((a) => a.port !== undefined)?.port;
  if (port === undefined) throw new Error('it listens on no port');
  return port;
}
