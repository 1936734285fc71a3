/** Events: as they come, by session, what is refused of them, and the schemas that refuse. */
import { SegmentedControl, Stack } from '@mantine/core';
import { type ComponentType, lazy, type ReactElement, Suspense } from 'react';
import { useParams } from 'wouter';
import { ViewHead } from '../parts.tsx';
import { Loading } from '../states.tsx';
import { useUrl } from '../url.ts';
import Live from './events/live.tsx';

const shows: Record<string, { title: string; view: ComponentType }> = {
  live: { title: 'Live', view: Live },
  errors: { title: 'Errors', view: lazy(() => import('./events/errors.tsx')) },
  types: { title: 'Schemas', view: lazy(() => import('./events/types.tsx')) },
};
const SessionView = lazy(() => import('./events/session.tsx'));

export default function Events(): ReactElement {
  const { item } = useParams();
  const url = useUrl();
  const show = shows[url.get('show')] ? url.get('show') : 'live';
  const View = shows[show]!.view;
  if (item !== undefined)
    return (
      <Suspense fallback={<Loading />}>
        <SessionView />
      </Suspense>
    );
  return (
    <Stack gap="md">
      <ViewHead
        title="Events"
        actions={
          <SegmentedControl
            size="xs"
            data={Object.entries(shows).map(([value, { title }]) => ({ value, label: title }))}
            value={show}
            onChange={(value) => url.set({ show: value, type: undefined })}
            aria-label="What to show"
          />
        }
      >
        What users of web applications do, as the applications tell it.
      </ViewHead>
      <Suspense fallback={<Loading />}>
        <View />
      </Suspense>
    </Stack>
  );
}
