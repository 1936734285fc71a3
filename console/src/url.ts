/** The state of a view is in its address, so that a view can be shared, and the browser's buttons work. */
import { useSearchParams } from 'wouter';

type Change = Record<string, string | readonly string[] | undefined>;

export interface Url {
  get(name: string): string;
  all(name: string): string[];
  /** Empty values leave the address. */
  set(change: Change, options?: { push?: boolean }): void;
}

export function useUrl(): Url {
  const [parameters, setParameters] = useSearchParams();
  return {
    get: (name) => parameters.get(name) ?? '',
    all: (name) => parameters.getAll(name),
    set: (change, { push = false } = {}) =>
      setParameters(
        (before) => {
          const after = new URLSearchParams(before);
          for (const [name, value] of Object.entries(change)) {
            after.delete(name);
            for (const one of typeof value === 'string' ? [value] : (value ?? []))
              if (one !== '') after.append(name, one);
          }
          return after;
        },
        { replace: !push },
      ),
  };
}
