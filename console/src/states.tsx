/** What a view shows when there is nothing to show: not yet, not any, not allowed, not reached. */
import { Button, Group, Skeleton, Stack, Text, Title } from '@mantine/core';
import type { ReactElement, ReactNode } from 'react';
import { Lost, Problem } from './api.ts';
import { Icon, type IconName } from './icons.tsx';
import { forgetKey, useKeyState } from './key.ts';

interface Saying {
  icon: IconName;
  title: string;
  children?: ReactNode;
  action?: ReactNode;
}

export function Nothing({ icon, title, children, action }: Saying): ReactElement {
  return (
    <Stack align="center" gap={6} py="xl" px="md" ta="center">
      <span className="quiet">
        <Icon name={icon} size={30} />
      </span>
      <Title order={3} fz="1rem">
        {title}
      </Title>
      {children && (
        <Text size="sm" c="dimmed" maw={460}>
          {children}
        </Text>
      )}
      {action && <Group mt="xs">{action}</Group>}
    </Stack>
  );
}

export function Loading({ lines = 4 }: { lines?: number }): ReactElement {
  return (
    <Stack gap="sm" p="md" role="status" aria-label="Loading">
      {Array.from({ length: lines }, (_, line) => (
        <Skeleton key={line} height={14} width={`${96 - ((line * 17) % 40)}%`} radius="sm" />
      ))}
    </Stack>
  );
}

/** Why there is no answer, in the words of the server, and what to do. */
export function Trouble({ error, again }: { error: Error; again?: () => void }): ReactElement {
  const { has } = useKeyState();
  const tryAgain = again && (
    <Button variant="default" onClick={again} leftSection={<Icon name="refresh" size={15} />}>
      Try again
    </Button>
  );
  if (error instanceof Lost)
    return (
      <Nothing icon="unplug" title="The server does not answer" action={tryAgain}>
        It is asked again every two seconds; this view goes on by itself.
      </Nothing>
    );
  if (error instanceof Problem && error.status === 403)
    return (
      <Nothing
        icon="lock"
        title="This key may not see this"
        action={
          has && (
            <Button variant="default" onClick={forgetKey}>
              Use another key
            </Button>
          )
        }
      >
        {error.message}
      </Nothing>
    );
  if (error instanceof Problem && error.code === 'unknown_route')
    return (
      <Nothing icon="empty" title="This server does not have it">
        The system behind this view is not part of this server; <code>serve --systems</code> chooses them.
      </Nothing>
    );
  return (
    <Nothing
      icon="warning"
      title={error instanceof Problem ? error.title : 'That did not work'}
      action={tryAgain}
    >
      {error.message}
    </Nothing>
  );
}

interface Query<T> {
  data: T | undefined;
  error: Error | null;
  refetch(): unknown;
}

/** What was answered, or the state that stands for it. What was shown once stays while the server is not reached. */
export function Answered<T>({
  query: { data, error, refetch },
  empty,
  nothing,
  lines,
  children,
}: {
  query: Query<T>;
  empty?: (data: T) => boolean;
  nothing?: ReactNode;
  lines?: number;
  children: (data: T) => ReactNode;
}): ReactNode {
  if (error && (data === undefined || error instanceof Problem))
    return <Trouble error={error} again={() => void refetch()} />;
  if (data === undefined) return <Loading lines={lines ?? 4} />;
  if (empty?.(data)) return nothing;
  return children(data);
}
