/**
 * What work ends with, or undefined where it has not ended after so many seconds. Throws what it throws; the timer is gone
 * then, too: one that is left would keep a process up which has nothing more to do.
 */
export async function within<T>(work: Promise<T>, seconds: number): Promise<T | undefined> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<undefined>((resolve) => {
    timer = setTimeout(() => resolve(undefined), seconds * 1000);
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}
