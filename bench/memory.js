/**
 * The most memory a contestant held. Linux keeps the high-water mark of each process (VmHWM); a contestant of
 * several processes (PostgreSQL) is the sum of what each held alone, plus what they share, counted once.
 */
import { readdirSync, readFileSync } from 'node:fs';

const EVERY_MS = 100;

/** The high-water mark of this process, in bytes. */
export function ownPeakBytes() {
  return process.resourceUsage().maxRSS * 1024;
}

/**
 * Watches a process and all below it.
 * @param {number} pid
 * @returns {{stop: () => number | null}} `stop` answers the peak in bytes, null where there is no /proc
 */
export function watchMemory(pid) {
  let peak = 0;
  const look = () => {
    peak = Math.max(peak, heldBytes(pid));
  };
  look();
  const timer = setInterval(look, EVERY_MS);
  return {
    stop() {
      clearInterval(timer);
      look();
      return peak || null;
    },
  };
}

function heldBytes(root) {
  const all = family(root).map(statusOf).filter(Boolean);
  if (all.length === 0) return 0;
  if (all.length === 1) return all[0].VmHWM * 1024;
  const alone = all.reduce((sum, one) => sum + one.RssAnon, 0);
  const files = Math.max(...all.map((one) => one.RssFile));
  const shared = Math.max(...all.map((one) => one.RssShmem));
  return (alone + files + shared) * 1024;
}

function family(root) {
  const pids = [root];
  for (const pid of pids) {
    try {
      for (const thread of readdirSync(`/proc/${pid}/task`)) {
        const children = readFileSync(`/proc/${pid}/task/${thread}/children`, 'utf8');
        pids.push(...children.split(' ').filter(Boolean).map(Number));
      }
    } catch {
      // It ended between two looks.
    }
  }
  return pids;
}

/** @returns {Record<string, number> | undefined} in KiB */
function statusOf(pid) {
  const text = textOf(`/proc/${pid}/status`);
  const pairs = text.matchAll(/^(VmHWM|RssAnon|RssFile|RssShmem):\s+(\d+) kB$/gm);
  const status = Object.fromEntries([...pairs].map(([, name, number]) => [name, Number(number)]));
  return 'VmHWM' in status ? status : undefined;
}

/** Of a process that has ended there is none. */
function textOf(path) {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}

/** What a process holds now, in bytes; null where there is no /proc. @param {number} pid */
export function residentBytes(pid) {
  const kilobytes = /^VmRSS:\s+(\d+) kB$/m.exec(textOf(`/proc/${pid}/status`))?.[1];
  return kilobytes === undefined ? null : Number(kilobytes) * 1024;
}
