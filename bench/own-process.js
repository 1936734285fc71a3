/**
 * Every contestant runs in a process of its own: its memory is its own, what it leaves behind in caches and
 * heaps hurts nobody, and a crash is one contestant's crash.
 *
 *     const seconds = await inOwnProcess('contestants/sqlite.js', 'importFile', { file, dir })
 *
 * calls that function in a new process and answers what it returned. The new process may start others.
 * Whoever is told to stop stops what it started first: nothing outlives a run.
 */
import { fork, spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';

/** @type {Map<number, {signal: NodeJS.Signals, group: boolean}>} */
const started = new Map();

/**
 * @param {string} module relative to this folder
 * @param {string} name of an exported function
 * @param {unknown} args plain data
 * @returns {Promise<any>}
 */
export function inOwnProcess(module, name, args) {
  const child = fork(fileURLToPath(import.meta.url), ['--child'], { stdio: ['ignore', 2, 'inherit', 'ipc'] });
  stopWithUs(child, 'SIGTERM');
  return new Promise((resolve, reject) => {
    /** @type {undefined | {result?: unknown, error?: {message: string, code?: string}}} */
    let answer;
    child.on('message', (message) => {
      answer = message;
    });
    child.on('error', reject);
    child.on('close', (code, signal) => {
      if (answer?.error) reject(Object.assign(new Error(answer.error.message), answer.error));
      else if (answer) resolve(answer.result);
      else reject(new Error(`${module} ended with ${signal ?? code} and no answer`));
    });
    child.send({ module, name, args });
  });
}

/** Starts a program whose whole process group ends when this process ends. */
export function startProgram(command, args, options = {}) {
  const child = spawn(command, args, { ...options, detached: true });
  stopWithUs(child, 'SIGTERM', true);
  return child;
}

/**
 * @param {import('node:child_process').ChildProcess} child
 * @param {NodeJS.Signals} signal what asks it to stop
 * @param {boolean} group whether it leads a process group of its own
 */
export function stopWithUs(child, signal, group = false) {
  if (child.pid === undefined) return;
  const { pid } = child;
  started.set(pid, { signal, group });
  child.on('exit', () => started.delete(pid));
}

function stopAll() {
  for (const [pid, { signal, group }] of started) {
    try {
      process.kill(group ? -pid : pid, signal);
    } catch {
      // It ended by itself meanwhile.
    }
  }
}

process.on('exit', stopAll);
for (const [signal, code] of [
  ['SIGINT', 130],
  ['SIGTERM', 143],
]) {
  process.on(signal, () => process.exit(code));
}

if (process.argv[2] === '--child') {
  process.on('disconnect', () => process.exit(process.exitCode ?? 143));
  process.once('message', async ({ module, name, args }) => {
    let answer;
    try {
      const functions = await import(new URL(module, import.meta.url).href);
      answer = { result: await functions[name](args) };
    } catch (error) {
      answer = { error: { message: error?.message ?? String(error), code: error?.code } };
    }
    // The native parts of the contestants are not trusted to wind down by themselves.
    process.send(answer, () => process.exit(0));
  });
}
