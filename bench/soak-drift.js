/**
 * Whether a soak held: its last part against the first. What a burst of the disk or another program costs is within the
 * bounds; what grows with every hour is not, once it is seen at all.
 */

/** The last part may be so many times the first, and so much more: what is small may double by chance. */
const bounds = {
  memory_mb: { times: 1.25, more: 50 },
  open_files: { times: 2, more: 50 },
  p50_ms: { times: 2, more: 25 },
  p99_ms: { times: 3, more: 100 },
};
/** What a server that has too much to do may say; everything else that is no success is a fault. */
const overloaded = / (429|503)$/;

/**
 * @param {{parts: Record<string, any>[], failures: Record<string, string>}} soak as soak.js tells it
 * @returns {string[]} what went wrong; none when all is well
 */
export function faultsOf({ parts, failures }) {
  const [first, last] = [parts[0], parts.at(-1)];
  const faults = Object.entries(failures)
    .filter(([what]) => !overloaded.test(what))
    .map(([what, told]) => `${what}: ${told}`);
  const check = (what, name, before, after) => {
    const { times, more } = bounds[name];
    const most = before * times + more;
    // What was not measured is no success either.
    if (!(after <= most))
      faults.push(
        `${what}: ${rounded(after)} in the last part, ${rounded(before)} in the first; at most ${rounded(most)} (${times} times as much and ${more} more) is as it was`,
      );
  };
  for (const name of ['memory_mb', 'open_files']) check(name, name, first[name], last[name]);
  for (const kind of ['writes', 'questions', 'corrections'])
    for (const name of ['p50_ms', 'p99_ms'])
      check(`${kind} ${name}`, name, first[kind][name], last[kind][name]);
  const machine = ({ yardstick_ms, sync_ms }) => `yardstick ${yardstick_ms} ms, sync ${sync_ms} ms`;
  if (faults.length > 0)
    faults.push(`the machine: ${machine(first)} in the first part, ${machine(last)} in the last`);
  return faults;
}

const rounded = (figure) => (figure === undefined ? 'nothing' : Math.round(figure * 10) / 10);
