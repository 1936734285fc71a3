/**
 * Work that may never end, such as a regular expression of a user's that backtracks for ever: it is cut off. Nothing else
 * runs in the process meanwhile, so the time is to be short.
 */
import { createContext, Script } from 'node:vm';

const sandbox = createContext({ work: undefined as unknown });
const runWork = new Script('work()');

/** Runs work; false when it was cut off. */
export function endsInTime(work: () => void, milliseconds: number): boolean {
  sandbox.work = work;
  try {
    runWork.runInContext(sandbox, { timeout: milliseconds });
    return true;
  } catch (error) {
    if ((error as { code?: unknown }).code === 'ERR_SCRIPT_EXECUTION_TIMEOUT') return false;
    throw error;
  } finally {
    sandbox.work = undefined;
  }
}
