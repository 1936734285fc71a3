/** Sales reports: dropped, followed, listed; the top of the catalogue; figures by territory and the like; exchange rates. */
import { SegmentedControl, Stack } from '@mantine/core';
import { type ComponentType, lazy, type ReactElement, Suspense } from 'react';
import { useParams } from 'wouter';
import { ViewHead } from '../parts.tsx';
import { Loading } from '../states.tsx';
import { useUrl } from '../url.ts';
import List from './reports/list.tsx';

const shows: Record<string, { title: string; view: ComponentType }> = {
  list: { title: 'Reports', view: List },
  top: { title: 'Top of the catalogue', view: lazy(() => import('./reports/top.tsx')) },
  figures: { title: 'Figures', view: lazy(() => import('./reports/figures.tsx')) },
  rates: { title: 'Rates', view: lazy(() => import('./reports/rates.tsx')) },
};
const Detail = lazy(() => import('./reports/detail.tsx'));

export default function Reports(): ReactElement {
  const { item } = useParams();
  const url = useUrl();
  const show = shows[url.get('show')] ? url.get('show') : 'list';
  const View = shows[show]!.view;
  if (item !== undefined)
    return (
      <Suspense fallback={<Loading />}>
        <Detail />
      </Suspense>
    );
  return (
    <Stack gap="md">
      <ViewHead
        title="Reports"
        actions={
          <SegmentedControl
            size="xs"
            data={Object.entries(shows).map(([value, { title }]) => ({ value, label: title }))}
            value={show}
            onChange={(value) => url.set({ show: value })}
            aria-label="What to show"
          />
        }
      >
        Digital sales reports of music services: a file for each service, territory and period.
      </ViewHead>
      <Suspense fallback={<Loading />}>
        <View />
      </Suspense>
    </Stack>
  );
}
