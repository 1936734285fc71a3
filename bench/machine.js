/** What the figures depend on besides the code: the machine, Node, and the versions of every package. */
import { readFileSync } from 'node:fs';
import { cpus, platform, release, totalmem } from 'node:os';

export function machine() {
  return {
    cpu: cpus()[0]?.model ?? 'unknown',
    cores: cpus().length,
    memory_gib: Number((totalmem() / 2 ** 30).toFixed(1)),
    system: `${platform()} ${release()}`,
    node: process.version,
  };
}

/** Of this package's own dependencies, as they are declared: they are pinned. */
export function versions() {
  const { dependencies, optionalDependencies } = JSON.parse(
    readFileSync(new URL('./package.json', import.meta.url), 'utf8'),
  );
  return { ...dependencies, ...optionalDependencies };
}
