/** What stands behind a figure, in the address: a stream, a filter, a time. */
import { useUrl } from './url.ts';

export interface Behind {
  stream: string;
  /** Conditions as in docs/questions.md: `type=data`. */
  where?: string[];
  from?: string;
  to?: string;
  tz?: string;
  known_at?: string;
  /** What the figure is called, and what it was. */
  title?: string;
}

export function behindText({ where = [], ...rest }: Behind): string {
  const text = new URLSearchParams();
  for (const [name, value] of Object.entries(rest)) if (value) text.set(name, value);
  for (const one of where) text.append('where', one);
  return text.toString();
}

export function behindOf(text: string): Behind {
  const parameters = new URLSearchParams(text);
  const { stream = '', ...rest } = Object.fromEntries(parameters);
  return { ...rest, stream, where: parameters.getAll('where') };
}

export function useExplain(): (behind: Behind) => void {
  const url = useUrl();
  return (behind) => url.set({ explain: behindText(behind), record: undefined }, { push: true });
}

/** Opens a record: its history, and the way to correct it. */
export function useOpenRecord(): (stream: string, id: string) => void {
  const url = useUrl();
  return (stream, id) => url.set({ record: `${stream}/${id}` }, { push: true });
}
