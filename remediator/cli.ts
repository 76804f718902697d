export function run(): void {
  process.stdout.write(`${process.version}\n`);
}
