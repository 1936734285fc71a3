/** Deliveries as they are written down outside the ledger, with the names of their stream and form. */
import type { Form } from './forms.ts';
import type { Mode, TextDelivery } from './store.ts';
import type { Stream } from './stream.ts';

export interface NamedDelivery {
  stream: string;
  /** Null for the stream's own. */
  form: string | null;
  mode: Mode;
  source: string;
  reason: string | null;
  texts: string[];
  fallbackIds: string[];
}

/** Deliveries that share all but their records (see groupsOf in settling.ts), as one. */
export function namedDelivery(group: readonly TextDelivery[]): NamedDelivery {
  const { stream, form, mode, source, reason } = group[0]!;
  return {
    stream: stream.name,
    form: form?.form ?? null,
    mode,
    source,
    reason: reason ?? null,
    texts: group.flatMap(({ content }) => content.texts),
    fallbackIds: group.flatMap(({ content }) => content.fallbackIds),
  };
}

/** The delivery again, once its stream and form are found. */
export function deliveryNamed(
  { mode, source, reason, texts, fallbackIds }: NamedDelivery,
  stream: Stream,
  form: Form | undefined,
): TextDelivery {
  const content = { kind: 'texts' as const, texts, fallbackIds };
  return { stream, form, mode, source, reason: reason ?? undefined, content, allVerdicts: false };
}
