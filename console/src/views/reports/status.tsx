/** How a report stands; while it is taken in, how far it is. */
import { type ReactElement, useState } from 'react';
import { refresh } from '../../api.ts';
import { plural } from '../../number.ts';
import { Tag } from '../../parts.tsx';
import { useServerEvents } from '../../server-events.ts';
import type { Import, Report } from '../../wire.ts';
import { ImportStatus } from '../import-status.tsx';

const tones = { in_progress: 'indigo', ingested: 'tally', failed: 'red' } as const;

export function ReportStatus({ of: { id, status } }: { of: Report }): ReactElement {
  return status === 'in_progress' ? <Following id={id} /> : <Tag color={tones[status]}>{status}</Tag>;
}

function Following({ id }: { id: number }): ReactElement {
  const [state, setState] = useState<Import>();
  useServerEvents({
    path: `/v1/imports/${id}/events`,
    last: 'end',
    take(events) {
      setState(JSON.parse(events.at(-1)!.data) as Import);
      if (events.some(({ event }) => event === 'end')) void refresh();
    },
  });
  if (!state) return <Tag color="indigo">in progress</Tag>;
  return (
    <>
      <ImportStatus of={state} />
      {state.progress && state.progress.rows > 0 && (
        <div className="quiet small">{plural(state.progress.rows, 'line')}</div>
      )}
    </>
  );
}
