/** Which reports are meant, in the address. */
import { Group, SegmentedControl, TextInput } from '@mantine/core';
import type { ReactElement } from 'react';
import type { Parameters } from '../../api.ts';
import { useUrl } from '../../url.ts';

export function useSelection(): Parameters {
  const url = useUrl();
  return {
    territory: url.get('territory'),
    period_start: url.get('period_start'),
    period_end: url.get('period_end'),
    currency: url.get('currency'),
  };
}

export function Selection({ children }: { children?: ReactElement }): ReactElement {
  const url = useUrl();
  return (
    <Group align="end" gap="sm">
      {children}
      <TextInput
        label="Territory"
        placeholder="all"
        w={90}
        maxLength={2}
        defaultValue={url.get('territory')}
        onChange={(event) => {
          const code = event.currentTarget.value.toUpperCase();
          if (code.length !== 1) url.set({ territory: code });
        }}
      />
      <TextInput
        type="date"
        label="Starts on or after"
        value={url.get('period_start')}
        onChange={(event) => url.set({ period_start: event.currentTarget.value })}
      />
      <TextInput
        type="date"
        label="Ends on or before"
        value={url.get('period_end')}
        onChange={(event) => url.set({ period_end: event.currentTarget.value })}
      />
      <SegmentedControl
        data={[
          { value: '', label: 'in euro' },
          { value: 'native', label: 'own currency' },
        ]}
        value={url.get('currency')}
        onChange={(currency) => url.set({ currency })}
        aria-label="Currency"
      />
    </Group>
  );
}
