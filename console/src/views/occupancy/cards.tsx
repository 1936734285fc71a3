/** Every space with its count, the fullest first. */
import { Button, Group, Progress, SimpleGrid, TextInput } from '@mantine/core';
import { type ReactElement, useState } from 'react';
import { Link } from 'wouter';
import { exact, plural } from '../../number.ts';
import { Exact } from '../../parts.tsx';
import type { SpaceCount } from '../../wire.ts';

const cardsPaged = 60;

export function SpaceCards({ spaces }: { spaces: SpaceCount[] }): ReactElement {
  const [named, setNamed] = useState('');
  const [pages, setPages] = useState(1);
  const found = spaces
    .filter(({ space_id, name }) => `${name} ${space_id}`.toLowerCase().includes(named.toLowerCase()))
    .sort(
      (one, other) =>
        (other.utilisation ?? -1) - (one.utilisation ?? -1) || (other.count ?? 0) - (one.count ?? 0),
    );
  return (
    <>
      {spaces.length > 8 && (
        <TextInput
          placeholder={`Find one of ${plural(spaces.length, 'space')}`}
          aria-label="Find a space"
          value={named}
          onChange={(event) => setNamed(event.currentTarget.value)}
          maw={320}
        />
      )}
      <SimpleGrid cols={{ base: 1, xs: 2, md: 3, xl: 4 }} spacing="sm">
        {found.slice(0, pages * cardsPaged).map(({ space_id, name, count, capacity, utilisation, fault }) => (
          <Link key={space_id} href={`/occupancy/${encodeURIComponent(space_id)}`} className="panel card">
            <div className="spread" style={{ flexWrap: 'nowrap' }}>
              <span className="break">{name ?? space_id}</span>
              {name && <span className="quiet small id">{space_id}</span>}
            </div>
            <div className="figure">{count === null ? '–' : <Exact value={count} />}</div>
            {capacity !== null && utilisation !== null ? (
              <>
                <Progress
                  value={Math.max(0, Math.min(utilisation * 100, 100))}
                  size="sm"
                  my={4}
                  color={utilisation >= 1 ? 'red.7' : utilisation >= 0.8 ? 'orange.6' : 'tally.6'}
                  aria-label={`${Math.round(utilisation * 100)} per cent full`}
                />
                <div className="quiet small">
                  {utilisation < 0
                    ? 'more went than came'
                    : `${exact(Math.round(utilisation * 100))} % of ${exact(capacity)}`}
                </div>
              </>
            ) : (
              <div className="quiet small">{fault ?? 'no capacity set'}</div>
            )}
          </Link>
        ))}
      </SimpleGrid>
      {found.length > pages * cardsPaged && (
        <Group justify="center">
          <Button variant="default" size="xs" onClick={() => setPages(pages + 1)}>
            Show more
          </Button>
        </Group>
      )}
    </>
  );
}
