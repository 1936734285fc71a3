/** Occupancy: every space now or at any time, one over time, doorways and their sensors. */
import { Button, Group, SegmentedControl, Stack, TextInput } from '@mantine/core';
import { lazy, type ReactElement, Suspense } from 'react';
import { useParams } from 'wouter';
import { useAnswer } from '../api.ts';
import { ViewHead } from '../parts.tsx';
import { Answered, Loading, Nothing } from '../states.tsx';
import { Time } from '../time.tsx';
import { useUrl } from '../url.ts';
import type { SpaceCount } from '../wire.ts';
import { SpaceCards } from './occupancy/cards.tsx';

const Sensors = lazy(() => import('./occupancy/sensors.tsx'));
const Space = lazy(() => import('./occupancy/space.tsx'));

export default function Occupancy(): ReactElement {
  const { item } = useParams();
  const url = useUrl();
  const sensors = url.get('show') === 'sensors';
  return (
    <Suspense fallback={<Loading />}>
      {item !== undefined ? (
        <Space key={item} />
      ) : (
        <Stack gap="md">
          <ViewHead
            title="Occupancy"
            actions={
              <SegmentedControl
                size="xs"
                data={[
                  { value: '', label: 'Spaces' },
                  { value: 'sensors', label: 'Doorways and sensors' },
                ]}
                value={url.get('show')}
                onChange={(show) => url.set({ show })}
                aria-label="What to show"
              />
            }
          >
            How many people are where, from what sensors above doorways report.
          </ViewHead>
          {sensors ? <Sensors /> : <Spaces />}
        </Stack>
      )}
    </Suspense>
  );
}

const liveMilliseconds = 2_000;

/** The time of the address as the input wants it, in the viewer's zone; and back. */
const localText = (at: string): string => {
  const date = new Date(at);
  return at === '' || Number.isNaN(date.getTime())
    ? ''
    : new Date(date.getTime() - date.getTimezoneOffset() * 60_000).toISOString().slice(0, 16);
};

function Spaces(): ReactElement {
  const url = useUrl();
  const at = url.get('at');
  const counts = useAnswer<{ ts: string; spaces: SpaceCount[] }>(
    '/v1/spaces/counts',
    { ts: at, negative: url.get('negative') },
    { every: at === '' && liveMilliseconds },
  );
  const before = (days: number): string => new Date(Date.now() - days * 86_400_000).toISOString();
  return (
    <>
      <Group align="end" gap="sm">
        <TextInput
          type="datetime-local"
          label="At"
          value={localText(at)}
          onChange={(event) => {
            const { value } = event.currentTarget;
            url.set({ at: value === '' ? undefined : new Date(value).toISOString() });
          }}
        />
        <Button.Group>
          <Button variant={at === '' ? 'filled' : 'default'} onClick={() => url.set({ at: undefined })}>
            Now
          </Button>
          <Button variant="default" onClick={() => url.set({ at: before(1) })}>
            Yesterday
          </Button>
          <Button variant="default" onClick={() => url.set({ at: before(7) })}>
            A week ago
          </Button>
        </Button.Group>
        <SegmentedControl
          data={[
            { value: '', label: 'As counted' },
            { value: 'clamp', label: 'Not below zero' },
          ]}
          value={url.get('negative')}
          onChange={(negative) => url.set({ negative })}
          aria-label="Counts below zero"
        />
      </Group>
      <Answered
        query={counts}
        lines={8}
        empty={({ spaces }) => spaces.length === 0}
        nothing={
          <Nothing icon="people" title="No spaces yet">
            Bring in a building with tallybook occupancy plan FILE: its spaces, doorways, sensors and where
            they hang.
          </Nothing>
        }
      >
        {({ ts, spaces }) => (
          <>
            <div className="quiet small">
              {at === '' ? 'Now' : 'As it was'}: <Time at={ts} />
            </div>
            <SpaceCards spaces={spaces} />
          </>
        )}
      </Answered>
    </>
  );
}
