/** How an import stands, in a word, or in a bar while it runs. */
import { Progress, Text } from '@mantine/core';
import type { ReactElement } from 'react';
import { Tag } from '../parts.tsx';
import type { Import } from '../wire.ts';

const tones = { in_progress: 'indigo', done: 'tally', failed: 'red', undone: 'gray' } as const;

export function ImportStatus({ of: { status, progress } }: { of: Import }): ReactElement {
  if (status !== 'in_progress' || !progress)
    return <Tag color={tones[status]}>{status.replace('_', ' ')}</Tag>;
  const done = progress.bytes_total ? (100 * (progress.bytes_done ?? 0)) / progress.bytes_total : 0;
  return (
    <div style={{ minWidth: 120 }}>
      <Progress
        value={done}
        size="sm"
        aria-label={`${progress.step}: ${Math.round(done)} per cent`}
        animated
      />
      <Text size="xs" c="dimmed">
        {progress.step}
      </Text>
    </div>
  );
}
